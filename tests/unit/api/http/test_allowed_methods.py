"""What a path takes beside its own methods is told, too."""

import pytest

from kafkalite.api.http.allowed_methods import all_allowed, method_not_allowed


@pytest.mark.parametrize(
    ("own", "told"),
    [
        (("POST",), "POST, OPTIONS"),
        (("GET", "POST"), "GET, POST, HEAD, OPTIONS"),
        (("GET", "HEAD", "OPTIONS"), "GET, HEAD, OPTIONS"),
    ],
)
def test_head_goes_with_get_and_options_with_all(own: tuple[str, ...], told: str) -> None:
    assert all_allowed(own) == told


def test_refusal_names_the_methods_in_its_text_and_for_the_header() -> None:
    refusal = method_not_allowed("/v1/x", "F" * 100, ("GET",))
    assert refusal.extra["allow"] == "GET, HEAD, OPTIONS"
    assert refusal.detail == f"/v1/x does not take {'F' * 20}; it takes GET, HEAD, OPTIONS."
