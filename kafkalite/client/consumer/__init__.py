"""The consumer: reads partitions, alone or as a member of a group, and remembers how far it got."""
