"""A laptop wakes up with a clock that is wrong, in the middle of a run, and is put right later."""

import pytest

from tests.faults.reader import Reader, assert_whole
from tests.faults.trial import EVERY_MS, WITHIN
from tests.running import say
from tests.waiting import until

pytestmark = pytest.mark.faults

PIECES = 200
AHEAD = 40  # seconds; signed requests may be 30 off


@pytest.fixture
def midway(breakable, laptop, relay):
    """A run that has said its first half: (client, thread's id, reader)."""
    link = laptop.online()
    laptop.allow(0)
    with breakable.client() as client:
        thread = client.post("/threads", json={}).json()["id"]
        with Reader(lambda: breakable.url, token=breakable.token, thread=thread) as reader:
            words = f"pieces {PIECES} {EVERY_MS}"
            say(client, thread, words, harnessId="demo", linkId=link)
            laptop.allow(PIECES // 2)
            until(lambda: reader.deltas >= PIECES // 2, within=WITHIN, what="the first half")
            yield client, thread, reader


def test_a_run_outlives_a_clock_that_is_wrong_for_a_while(midway, laptop, relay):
    client, thread, reader = midway

    def summary():
        return client.get(f"/threads/{thread}").json()

    laptop.set_clock(AHEAD)
    relay.cut()
    resting = until(lambda: summary()["resting"], within=WITHIN, what="that it rests")
    laptop.allow(PIECES)  # its agent works on, unheard
    until(lambda: laptop.spoken >= PIECES, within=WITHIN, what="the second half")
    assert (resting["code"], summary()["status"]) == ("timestamp_drift", "running")

    laptop.set_clock(0)
    until(lambda: reader.is_done, within=WITHIN, what="the end")

    assert len(laptop.prompts) == 1
    assert_whole(reader.seen, laptop.said)
    assert len(laptop.said) == PIECES
    assert (summary()["status"], summary()["resting"]) == ("completed", None)
