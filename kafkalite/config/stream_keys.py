"""Settings of streams of topics; a section of `keys.py`, where all of them come together."""

from kafkalite.config.setting import NotNegative, Section, setting


class StreamKeys(Section):
    """Streams of topics over HTTP"""

    topic_max_streams: NotNegative = setting(
        1_000,
        "Streams (GET /v1/topics/T/stream) that the broker serves at once; one more is answered "
        "503.",
        live=True,
        ours=True,
    )
    produce_max_streams: NotNegative = setting(
        1_000,
        "Streams of records (POST /v1/topics/T/records/stream) that the broker takes at once; one "
        "more is answered 503.",
        live=True,
        ours=True,
    )
