"""Replication decisions, without IO."""
