"""Consumer groups that this broker coordinates: members, commits, timers, and the way to others."""
