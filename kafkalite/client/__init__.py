"""The Python client: producer, consumer and administration over HTTP."""
