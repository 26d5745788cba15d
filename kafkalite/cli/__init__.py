"""Kafka's commands, one file a command."""
