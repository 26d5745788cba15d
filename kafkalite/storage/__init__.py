"""Logs on disk: synchronous, unlocked, one owner; knows no network."""
