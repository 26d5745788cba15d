"""Streams of a topic over plain HTTP: a live tail out, and records in without an end."""
