import pytest
from hypothesis import given
from hypothesis import strategies as st

from links.wire.closing import LONGEST_REASON, Closed, pack_close, sendable, unpack_close


@pytest.mark.parametrize(
    ("closed", "told"),
    [
        pytest.param(Closed(1000, "done"), Closed(1000, "done"), id="normal"),
        pytest.param(Closed(4001, "ä" * 100), Closed(4001, "ä" * 61), id="a long reason is cut"),
        pytest.param(Closed(), Closed(), id="no code"),
        pytest.param(Closed(1006), Closed(1011), id="gone"),
        pytest.param(Closed(0), Closed(1011), id="no code of RFC 6455"),
        pytest.param(Closed(70_000), Closed(1011), id="no code at all"),
    ],
)
def test_what_is_told_of_a_close(closed, told):
    assert unpack_close(pack_close(closed)) == told


@given(st.binary(max_size=200))
def test_any_payload_says_something_that_may_be_sent(payload):
    closed = sendable(unpack_close(payload))

    assert sendable(closed) == closed
    assert len(closed.reason.encode()) <= LONGEST_REASON
