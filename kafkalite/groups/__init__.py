"""Consumer group decisions, without IO: who is in a group, and who owns what."""
