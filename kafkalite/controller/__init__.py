"""Controller decisions, without IO: placement, election, topic plans."""
