"""A laptop whose clock is wrong, from the start or after it woke up in the middle of a run."""

import pytest

from tests.faults.reader import Reader, assert_whole
from tests.faults.trial import EVERY_MS, WITHIN
from tests.running import say
from tests.waiting import until

pytestmark = pytest.mark.faults

PIECES = 200
CLOCKS = {"half a minute and more": 40, "behind": -40, "another time zone": -5 * 3600}


@pytest.fixture
def reading(breakable, laptop, relay):
    """Return ``reading()``: a run of which nothing may be said yet: (client, thread, reader)."""
    readers = []

    def reading():
        link = laptop.online()
        laptop.allow(0)
        client = breakable.client()
        thread = client.post("/threads", json={}).json()["id"]
        reader = Reader(lambda: breakable.url, token=breakable.token, thread=thread)
        readers.append((client, reader.__enter__()))
        say(client, thread, f"pieces {PIECES} {EVERY_MS}", harnessId="demo", linkId=link)
        return client, thread, reader

    yield reading
    for client, reader in readers:
        reader.__exit__(None, None, None)
        client.close()


def assert_told_once(client, thread, reader, laptop):
    until(lambda: reader.is_done, within=WITHIN, what="the end")
    summary = client.get(f"/threads/{thread}").json()
    assert (summary["status"], summary["resting"]) == ("completed", None)
    assert len(laptop.prompts) == 1
    assert_whole(reader.seen, laptop.said)
    assert len(laptop.said) == PIECES


@pytest.mark.parametrize("ahead", CLOCKS.values(), ids=CLOCKS)
def test_a_run_goes_on_when_the_clock_is_wrong_after_a_wake_up(reading, laptop, relay, ahead):
    client, thread, reader = reading()
    laptop.allow(PIECES // 2)
    until(lambda: reader.deltas >= PIECES // 2, within=WITHIN, what="the first half")

    laptop.set_clock(ahead)
    relay.cut()
    laptop.allow(PIECES)

    assert_told_once(client, thread, reader, laptop)


def test_a_clock_that_is_set_while_connected_ends_no_run(reading, laptop):
    """Nothing is refused before the next request: the answer to it is read by the new clock."""
    client, thread, reader = reading()
    laptop.set_clock(3600)
    laptop.allow(PIECES)
    assert_told_once(client, thread, reader, laptop)

    laptop.set_clock(0)
    say(client, thread, f"pieces {PIECES} {EVERY_MS}", harnessId="demo", linkId=laptop.online())
    until(lambda: len(laptop.prompts) == 2, within=WITHIN, what="the second message")
    until(
        lambda: client.get(f"/threads/{thread}").json()["status"] == "completed",
        within=WITHIN,
        what="its end",
    )
