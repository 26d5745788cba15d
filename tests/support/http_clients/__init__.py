"""HTTP clients behind one port, so that ours is held to the same suite and benchmark as others."""
