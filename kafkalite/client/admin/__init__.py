"""Administration of a cluster: topics, settings, groups, partitions, brokers."""
