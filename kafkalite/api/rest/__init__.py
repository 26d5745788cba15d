"""The API of Kafka's REST proxies, version 2, as their clients expect it."""
