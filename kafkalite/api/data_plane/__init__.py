"""Records in and out: raw ASGI, for which FastAPI would be too slow."""
