"""The embedded ZooKeeper: one node, for one machine."""
