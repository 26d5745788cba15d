from kafkalite.client.producer.delivery import Deliveries
from kafkalite.client.producer.producer_batch import ProducerBatch


def test_a_callback_of_many_is_called_once_all_are_done_and_at_once_for_none() -> None:
    batches = [ProducerBatch("t", 0, now_ms=0, now_s=0.0, deadline_s=9.0) for _ in range(2)]
    many, none = Deliveries(), Deliveries()
    for batch in batches:
        many.add(batch, 0, 1)
    told: list[Deliveries] = []
    none.add_done_callback(told.append)
    assert told == [none]
    many.add_done_callback(told.append)
    for batch in batches:
        assert told == [none]
        batch.finish(base_offset=0)
    assert told == [none, many]
