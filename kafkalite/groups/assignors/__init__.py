"""Who shall consume what: pure functions of subscriptions and partitions."""
