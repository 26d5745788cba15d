"""Consumer groups over HTTP: their calls, their streams, what is told of them."""
