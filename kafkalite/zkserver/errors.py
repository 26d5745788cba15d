"""The errors that a ZooKeeper client may be told, and the one that ends its connection."""

import enum


class ErrorCode(enum.IntEnum):
    """ZooKeeper's error codes (KeeperException.Code), as they stand in a reply's header."""

    OK = 0
    RUNTIME_INCONSISTENCY = -2
    MARSHALLING_ERROR = -5
    UNIMPLEMENTED = -6
    BAD_ARGUMENTS = -8
    NO_NODE = -101
    NO_AUTH = -102
    BAD_VERSION = -103
    NO_CHILDREN_FOR_EPHEMERALS = -108
    NODE_EXISTS = -110
    NOT_EMPTY = -111
    INVALID_ACL = -114
    AUTH_FAILED = -115
    RECONFIG_DISABLED = -123


class ZooKeeperError(Exception):
    """A request that is answered with an error code and has changed nothing."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code.name)
        self.code = code


class MalformedError(Exception):
    """Bytes that are no request. The connection cannot be trusted any more, so it is closed."""


class StorageError(Exception):
    """The directory or the database cannot be used; the text is a sentence for the operator."""
