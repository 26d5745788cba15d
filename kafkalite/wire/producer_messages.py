"""The body of `POST /v1/producer-ids`, as JSON or msgpack."""

import msgspec


class ProducerIdentity(msgspec.Struct, frozen=True, gc=False):
    """Who an idempotent producer is; its batches carry both."""

    producer_id: int
    """No other producer has it, nor ever had."""
    producer_epoch: int
    """The first one; the producer raises it when it has to begin its sequences anew."""
