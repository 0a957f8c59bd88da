"""A copy of a machine's files is started while that machine works."""

import json
import shutil

import pytest

from tests.faults.laptop import Laptop
from tests.faults.reader import Reader, assert_whole
from tests.faults.trial import EVERY_MS, WITHIN
from tests.running import say
from tests.waiting import until

pytestmark = pytest.mark.faults

PIECES = 200


@pytest.fixture
def copy(laptop, breakable, tmp_path):
    """A second laptop with the files of the first, which is online; not started."""
    laptop.online()
    made = Laptop(tmp_path / "copy", server=breakable.url, token=breakable.token)
    shutil.copy2(laptop.home / "machine-id", made.home / "machine-id")
    yield made
    made.close()


def state_of(laptop):
    """Return what the link of a laptop says of itself; empty before it says anything."""
    for path in (laptop.home / "link" / "state").glob("*.json"):
        return json.loads(path.read_text())
    return {}


def test_it_is_refused_and_ends_nothing_of_the_first(breakable, laptop, relay, copy):
    link = laptop.online()
    laptop.allow(0)
    with breakable.client() as client:
        thread = client.post("/threads", json={}).json()["id"]
        with Reader(lambda: breakable.url, token=breakable.token, thread=thread) as reader:
            say(client, thread, f"pieces {PIECES} {EVERY_MS}", harnessId="demo", linkId=link)
            laptop.allow(PIECES // 2)
            until(lambda: reader.deltas >= PIECES // 2, within=WITHIN, what="the first half")
            before = relay.cuts

            copy.start()
            told = until(lambda: state_of(copy).get("detail"), within=WITHIN, what="its refusal")
            laptop.allow(PIECES)
            until(lambda: reader.is_done, within=WITHIN, what="the end")

        assert "identity is online" in told
        assert state_of(laptop)["phase"] == "connected"
        assert relay.cuts == before
        assert_whole(reader.seen, laptop.said)
        assert client.get(f"/threads/{thread}").json()["status"] == "completed"
    assert laptop.online() == link


def test_it_takes_the_place_of_the_first_once_that_is_gone(laptop, copy):
    link = laptop.online()
    copy.start()
    until(lambda: state_of(copy).get("phase") == "waiting", within=WITHIN, what="its refusal")

    laptop.kill_link()

    until(lambda: state_of(copy)["phase"] == "connected", within=WITHIN, what="its connection")
    assert copy.online() == link
