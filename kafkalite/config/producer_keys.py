"""Settings of idempotent producing; a section of `keys.py`, where all of them come together."""

from kafkalite.config.setting import Positive, Section, setting


class ProducerKeys(Section):
    """Idempotent producers"""

    producer_id_expiration_ms: Positive = setting(
        86_400_000,
        "After how long a producer id that sent a partition nothing is forgotten there; with it "
        "goes what tells its retries from new batches.",
    )
    producer_id_expiration_check_interval_ms: Positive = setting(
        600_000, "How often producer ids are looked through for what may be forgotten."
    )
    producer_id_count_max: Positive = setting(
        20_000,
        "How many producer ids a partition remembers; of more, the one that was not heard of for "
        "the longest time is forgotten.",
        ours=True,
        live=True,
    )
