"""Values, the error table and the Clock protocol; imports nothing of ours."""
