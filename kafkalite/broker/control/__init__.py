"""The controller of the cluster as this broker runs it or asks it: elections, topics, moves."""
