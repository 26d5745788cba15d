"""Whole clusters on a simulated clock, network, disk and ZooKeeper; see README.md."""
