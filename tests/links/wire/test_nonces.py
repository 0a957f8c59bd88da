import pytest

from links.wire.errors import TooManyRequests
from links.wire.nonces import KEEP, Nonces


@pytest.mark.parametrize("later", [0, 61, KEEP - 1, KEEP])
def test_a_nonce_is_known_for_as_long_as_its_request_could_pass(later):
    nonces = Nonces()
    nonces.add("n", now=1000)

    assert nonces.add("n", now=1000 + later) is False


def test_a_nonce_added_at_the_end_of_a_generation_is_kept_too():
    nonces = Nonces()
    nonces.add("first", now=1000)
    nonces.add("n", now=1000 + KEEP - 1)

    assert nonces.add("n", now=1000 + KEEP - 1 + KEEP) is False


def test_old_nonces_are_forgotten():
    nonces = Nonces()
    nonces.add("n", now=1000)
    nonces.add("other", now=1000 + KEEP)

    assert nonces.add("n", now=1000 + 3 * KEEP) is True


def test_a_clock_set_back_forgets_nothing():
    nonces = Nonces()
    nonces.add("n", now=1000)

    assert nonces.add("n", now=10) is False


def test_a_full_memory_refuses_and_forgets_nothing():
    nonces = Nonces(limit=2)
    nonces.add("a", now=1000)
    nonces.add("b", now=1000)

    with pytest.raises(TooManyRequests):
        nonces.add("c", now=1000)
    assert nonces.add("a", now=1000) is False
