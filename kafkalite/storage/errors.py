"""What keeps storage from starting; what it tells clients is in the error table of the model."""


class StorageError(Exception):
    """Log directories that cannot be used as they are; a sentence that names the way out."""
