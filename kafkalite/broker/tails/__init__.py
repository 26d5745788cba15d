"""Live tails: the records of a topic pushed to whoever listens, without a group."""
