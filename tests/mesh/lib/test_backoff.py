import pytest

from mesh.lib.backoff import Backoff


def waits(count, *, chance=0.0):
    backoff = Backoff(random=lambda: chance)
    return [backoff.next() for _ in range(count)]


def test_doubles_up_to_the_ceiling():
    assert waits(9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_jitter_takes_away_up_to_half():
    assert waits(3, chance=1.0) == [0.25, 0.5, 1]


def test_a_week_offline_is_no_overflow():
    assert waits(20_000)[-1] == 30


@pytest.mark.parametrize(
    ("held", "next_wait"),
    [
        pytest.param(1.9, 4, id="a connection shorter than the wait for it changes nothing"),
        pytest.param(2, 1, id="one that was worth its wait halves the next"),
        pytest.param(60, 0.5, id="a stable one starts again"),
    ],
)
def test_starts_again_after_a_stable_connection(held, next_wait):
    backoff = Backoff(random=lambda: 0.0)
    for _ in range(3):
        backoff.next()

    backoff.connected_for(held)

    assert backoff.next() == next_wait
