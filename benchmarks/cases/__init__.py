"""One file per case; each gives rows of the table."""
