"""What a broker refused a request with: from its problem document back to the error's class."""

from typing import Any, Final

import msgspec

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.model.errors import LogError, NetworkError, error_by_name
from kafkalite.transport.peer_reply import PeerReply

_NOT_MEMBERS_OF_THEIR_OWN: Final = frozenset(
    {"type", "title", "status", "detail", "error", "error_code", "retriable", "instance"}
)

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def refusal(reply: PeerReply, address: BrokerAddress) -> LogError:
    """The error that an answer stands for that is no success; its own members are in `extra`."""
    try:
        problem = _decode(reply.content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        problem = {}
    name = problem.get("error")
    if not isinstance(name, str):
        return NetworkError(
            f"{address.netloc} is not a broker of kafkalite: it answered with status {reply.status}"
        )
    extra = {
        str(key): value for key, value in problem.items() if key not in _NOT_MEMBERS_OF_THEIR_OWN
    }
    return error_by_name(name)(str(problem.get("detail") or "") or None, **extra)
