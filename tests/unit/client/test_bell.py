import threading

from kafkalite.client.bell import Bell


def test_a_ring_is_kept_once_for_whoever_waits_next() -> None:
    bell = Bell()
    assert not bell.wait(0)
    bell.ring()
    bell.ring()
    assert bell.wait(None)
    assert not bell.wait(-1.0)


def test_whoever_waits_is_let_go_on_by_another_thread() -> None:
    bell, answer = Bell(), Bell()

    def wait() -> None:
        assert bell.wait(None)
        answer.ring()

    thread = threading.Thread(target=wait)
    thread.start()
    bell.ring()
    assert answer.wait(1e12)
    thread.join()
