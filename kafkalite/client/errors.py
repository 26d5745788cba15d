"""Errors that only a client meets; everything that a broker may answer is in `model/errors.py`.

LogError
 +- BufferExhaustedError    no room for a record within max.block.ms
 +- DeliveryTimeoutError    a record was not acknowledged within delivery.timeout.ms
 +- ClosedError             the client was closed, or belongs to another process
 +- SerializationError      a value cannot be turned into bytes, or back
 +- ConfigError             settings that a client cannot be made with
 +- NetworkError
     +- NotSentError        no broker could be reached: the request surely was not carried out
"""

from typing import ClassVar

from kafkalite.model.errors import LogError, NetworkError


class BufferExhaustedError(LogError):
    """The producer's memory is full of records that are not acknowledged; the caller may wait."""

    name = "BUFFER_EXHAUSTED"
    retriable = True
    text = "The producer's buffer is full."


class DeliveryTimeoutError(LogError):
    """Nobody said in time whether a record was stored: it may have been."""

    name = "DELIVERY_TIMED_OUT"
    text = "The record was not acknowledged in time."


class ClosedError(LogError):
    """The client takes nothing any more."""

    name = "CLIENT_CLOSED"
    text = "The client is closed."


class SerializationError(LogError):
    """A value is not what the serializer takes, or bytes are not what the deserializer takes."""

    name = "SERIALIZATION_FAILED"
    text = "The value cannot be serialized."


class ConfigError(LogError):
    """A setting is not known, or its value is none that it takes."""

    name = "INVALID_CLIENT_CONFIG"
    text = "The client cannot be made with these settings."


class NotSentError(NetworkError):
    """A broker could not be reached: nothing of the request was sent, so nothing was done."""

    text = "The broker cannot be reached."
    was_sent: ClassVar[bool] = False
    """Other errors of a connection leave it in doubt whether the request was carried out."""
