"""How brokers talk to each other: the only package that holds HTTP connections to peers."""
