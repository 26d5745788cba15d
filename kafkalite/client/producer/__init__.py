"""Producing: records gathered into batches in the caller's thread, sent by one loop."""
