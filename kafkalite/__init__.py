"""A partitioned, durable commit log with Kafka's model, spoken over HTTP."""
