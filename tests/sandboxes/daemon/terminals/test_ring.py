"""The ring of a terminal's output against a model that keeps everything."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sandboxes.daemon.terminals.ring import Ring

LIMIT = 16


class RingMachine(RuleBasedStateMachine):
    """Whatever is added and read, a reader gets each byte once, or is told what it missed."""

    def __init__(self):
        super().__init__()
        self.ring, self.all, self.cursor = Ring(LIMIT), b"", 0

    @rule(data=st.binary(max_size=3 * LIMIT))
    def add(self, data):
        self.ring.add(data)
        self.all += data

    @rule(most=st.integers(1, LIMIT))
    def read(self, most):
        start, block = self.ring.read(self.cursor, most)
        assert start >= self.cursor
        assert start == self.cursor or start == self.ring.first
        assert block == self.all[start : start + len(block)]
        assert len(block) <= most
        assert block or start == self.ring.end
        self.cursor = start + len(block)

    @rule(after=st.integers(0, 2**63))
    def read_from_anywhere(self, after):
        start, block = self.ring.read(after, LIMIT)
        assert self.ring.first <= start <= self.ring.end
        assert block == self.all[start : start + LIMIT]

    @invariant()
    def it_is_bounded_and_counts_all(self):
        assert self.ring.end == len(self.all)
        assert self.ring.end - self.ring.first == min(LIMIT, len(self.all))


TestRing = RingMachine.TestCase


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_a_reader_that_is_in_time_misses_nothing(pieces):
    ring, seen = Ring(64), b""
    for piece in pieces:
        ring.add(piece)
        start, block = ring.read(len(seen), 64)
        assert start == len(seen)
        seen += block
    assert seen == b"".join(pieces)
