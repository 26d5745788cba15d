"""Who an ACL lets in, and which lists are stored."""

import pytest

from kafkalite.zkserver import acl
from kafkalite.zkserver.acl import ANYONE, OPEN, READ_ONLY, Acl, Identity, Permission
from kafkalite.zkserver.errors import ErrorCode, ZooKeeperError

_HERE = Identity("ip", "127.0.0.1")
_USER = acl.digest_identity(b"user:secret")
_ALL = 31


def test_digest_is_the_one_that_zookeeper_computes() -> None:
    # From ZooKeeper's own documentation of the superuser.
    assert acl.digest_identity(b"super:test") == Identity(
        "digest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
    )


@pytest.mark.parametrize("permission", list(Permission))
def test_open_list_allows_everything_to_everybody(permission: Permission) -> None:
    acl.check(OPEN, permission, [])


def test_permission_is_refused_when_the_entry_has_another() -> None:
    assert acl.allows(READ_ONLY, Permission.READ, [_HERE])
    with pytest.raises(ZooKeeperError) as raised:
        acl.check(READ_ONLY, Permission.WRITE, [_HERE])
    assert raised.value.code is ErrorCode.NO_AUTH


def test_one_of_several_permissions_is_enough() -> None:
    assert acl.allows(READ_ONLY, Permission.READ | Permission.ADMIN, [])


def test_digest_entry_lets_in_only_its_user() -> None:
    entry = (Acl(_ALL, _USER),)
    assert acl.allows(entry, Permission.READ, [_HERE, _USER])
    assert not acl.allows(entry, Permission.READ, [_HERE])
    assert not acl.allows(entry, Permission.READ, [acl.digest_identity(b"user:other")])


@pytest.mark.parametrize(
    ("network", "allowed"),
    [("127.0.0.1", True), ("127.0.0.0/8", True), ("10.0.0.0/8", False), ("::1", False)],
)
def test_ip_entry_matches_address_and_network(network: str, *, allowed: bool) -> None:
    entry = (Acl(_ALL, Identity("ip", network)),)
    assert acl.allows(entry, Permission.READ, [_HERE]) is allowed


def test_duplicates_are_stored_once_in_order() -> None:
    first, second = Acl(_ALL, _USER), Acl(1, ANYONE)
    assert acl.resolve([first, second, first], []) == (first, second)


def test_open_list_is_shared_when_resolved() -> None:
    assert acl.resolve([Acl(_ALL, ANYONE)], []) is OPEN


def test_auth_stands_for_the_digests_of_the_caller() -> None:
    entry = Acl(7, Identity("auth", ""))
    assert acl.resolve([entry], [_HERE, _USER]) == (Acl(7, _USER),)


@pytest.mark.parametrize(
    "identity",
    [
        Identity("world", "someone"),
        Identity("nonsense", "x"),
        Identity("digest", "nocolon"),
        Identity("digest", "a:b:c"),
        Identity("digest", "user:"),
        Identity("ip", "300.1.1.1"),
        Identity("ip", "127.0.0.1/99"),
        Identity("auth", ""),
    ],
)
def test_list_is_refused_when_an_entry_names_nobody(identity: Identity) -> None:
    with pytest.raises(ZooKeeperError) as raised:
        acl.resolve([Acl(_ALL, identity)], [_HERE])
    assert raised.value.code is ErrorCode.INVALID_ACL


def test_list_is_refused_when_it_is_empty() -> None:
    with pytest.raises(ZooKeeperError) as raised:
        acl.resolve([], [_USER])
    assert raised.value.code is ErrorCode.INVALID_ACL


def test_digests_are_hidden_and_the_rest_is_shown() -> None:
    shown = acl.without_digests((Acl(_ALL, _USER), Acl(1, ANYONE)))
    assert shown == (Acl(_ALL, Identity("digest", "user:x")), Acl(1, ANYONE))
