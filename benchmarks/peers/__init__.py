"""Apache Kafka with its Python clients, and ours: servers, and a process for each client."""
