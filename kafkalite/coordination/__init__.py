"""Everything that imports kazoo."""
