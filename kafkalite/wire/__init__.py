"""Bytes and bodies: the record batch, compression, request and response shapes."""
