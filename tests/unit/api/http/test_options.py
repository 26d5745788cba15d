"""Settings become the options of the server."""

from kafkalite.api.http.options import HttpOptions, http_options
from kafkalite.config.http_keys import HttpKeys


def test_defaults_are_those_of_the_settings() -> None:
    options = http_options(HttpKeys())
    usual = HttpOptions(connection_overrides={}, cors=options.cors)
    assert options == usual
    assert not options.cors.origins


def test_settings_are_taken_over() -> None:
    options = http_options(
        HttpKeys.model_validate(
            {
                "max.connections.per.ip": "7",
                "max.connections.per.ip.overrides": "10.0.0.1:9",
                "http.request.head.timeout.ms": "1500",
                "http.cors.allowed.origins": "https://a.example",
                "http.cors.max.age.ms": "5000",
            }
        )
    )
    assert options.max_connections_per_ip == 7
    assert options.connection_overrides == {"10.0.0.1": 9}
    assert options.head_timeout_s == 1.5
    assert options.cors.allows("https://a.example")
    assert options.cors.max_age_s == 5
