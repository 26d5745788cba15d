"""The shells that own tasks and run effects."""
