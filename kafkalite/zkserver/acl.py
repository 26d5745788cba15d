"""Access control: who a client is, and what a list of ACLs lets it do. Pure.

Schemes: `world` (everybody), `digest` (`user:base64(sha1(user:password))`), `ip` (address or
network), and `auth`, which stands for the digests of whoever sets the list.
"""

import base64
import enum
import hashlib
import ipaddress
from collections.abc import Collection, Sequence
from typing import NamedTuple

from kafkalite.zkserver.errors import ErrorCode, ZooKeeperError


class Permission(enum.IntFlag):
    READ = 1
    WRITE = 2
    CREATE = 4
    DELETE = 8
    ADMIN = 16


class Identity(NamedTuple):
    """One thing a client has proven to be, or that an ACL names."""

    scheme: str
    id: str


class Acl(NamedTuple):
    """Permissions for an identity."""

    permissions: int
    identity: Identity


AclList = tuple[Acl, ...]

ANYONE = Identity("world", "anyone")
OPEN: AclList = (Acl(31, ANYONE),)
READ_ONLY: AclList = (Acl(Permission.READ, ANYONE),)


def digest_identity(credential: bytes) -> Identity:
    """The identity proven by `user:password`."""
    user = credential.partition(b":")[0].decode(errors="replace")
    # SHA-1 is what the protocol says; it is no choice of ours.
    digest = base64.b64encode(hashlib.sha1(credential, usedforsecurity=False).digest()).decode()
    return Identity("digest", f"{user}:{digest}")


def check(acl: AclList, permissions: Permission, identities: Collection[Identity]) -> None:
    """Refuse with NO_AUTH unless one of `identities` has one of `permissions`."""
    if acl is not OPEN and not allows(acl, permissions, identities):
        raise ZooKeeperError(ErrorCode.NO_AUTH)


def allows(acl: AclList, permissions: Permission, identities: Collection[Identity]) -> bool:
    return any(
        entry.permissions & permissions and _matches(entry.identity, identities) for entry in acl
    )


def resolve(acl: Sequence[Acl], identities: Collection[Identity]) -> AclList:
    """The list as it is stored: checked, `auth` replaced by digests, without duplicates.

    Raises ZooKeeperError INVALID_ACL for an empty list, an unknown scheme or a malformed id.
    """
    resolved: dict[Acl, None] = {}
    for entry in acl:
        for identity in _resolve_identity(entry.identity, identities):
            resolved[Acl(entry.permissions, identity)] = None
    if not resolved:
        raise ZooKeeperError(ErrorCode.INVALID_ACL)
    stored = tuple(resolved)
    return OPEN if stored == OPEN else stored


def without_digests(acl: AclList) -> AclList:
    """The list as shown to one who may read but not administer: password digests hidden."""
    return tuple(
        Acl(entry.permissions, Identity("digest", f"{entry.identity.id.partition(':')[0]}:x"))
        if entry.identity.scheme == "digest"
        else entry
        for entry in acl
    )


def _resolve_identity(identity: Identity, identities: Collection[Identity]) -> Collection[Identity]:
    scheme, value = identity
    if scheme == "auth":
        return [one for one in identities if one.scheme == "digest"]
    valid = (
        identity == ANYONE
        or (scheme == "digest" and value.count(":") == 1 and not value.endswith(":"))
        or (scheme == "ip" and _network(value) is not None)
    )
    if not valid:
        raise ZooKeeperError(ErrorCode.INVALID_ACL)
    return [identity]


def _matches(identity: Identity, identities: Collection[Identity]) -> bool:
    if identity == ANYONE or identity in identities:
        return True
    if identity.scheme != "ip":
        return False
    network = _network(identity.id)
    return network is not None and any(
        one.scheme == "ip" and ipaddress.ip_address(one.id) in network for one in identities
    )


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
