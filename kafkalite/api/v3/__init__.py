"""REST Proxy's version 3: clusters, topics, groups and records as resources."""
