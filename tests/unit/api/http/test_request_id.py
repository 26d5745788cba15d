"""Ids of requests are their clients', where they can be repeated."""

import pytest

from kafkalite.api.http.request_id import given_id, id_of, make_id


def test_id_that_was_given_is_taken_over() -> None:
    headers = [(b"host", b"x"), (b"x-request-id", b"a-1:b/2@c=3_4.5+")]
    assert given_id(headers) == b"a-1:b/2@c=3_4.5+"
    assert id_of(headers) == "a-1:b/2@c=3_4.5+"


@pytest.mark.parametrize("text", [b"", b" ", b"a b", b"x\r\nset-cookie: y", b"\xff", b"a" * 129])
def test_id_that_cannot_be_repeated_is_replaced(text: bytes) -> None:
    headers = [(b"x-request-id", text)]
    assert given_id(headers) is None
    assert len(id_of(headers)) == 16


def test_ids_that_are_made_differ() -> None:
    assert given_id([]) is None
    assert make_id() != make_id()
