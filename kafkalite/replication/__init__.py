"""Replication decisions, without IO: what a leader makes of fetches, where a follower truncates.

The invariants are numbered (REP-n) where the code that keeps them lives; tests cite them.
"""
