"""A message is handed over in the middle of a turn while its server is lost: who answers it."""

import pytest

from tests.faults.trial import EVERY_MS, WITHIN
from tests.running import events, say, until_finish
from tests.waiting import until

pytestmark = pytest.mark.faults

PIECES = 100


@pytest.mark.parametrize("is_lost", [False, True], ids=["in peace", "with the server killed"])
def test_a_program_learns_which_answer_contains_it(breakable, laptop, is_lost):
    link = laptop.online()
    laptop.allow(0)
    with breakable.client() as client:
        thread = client.post("/threads", json={}).json()["id"]
        words = f"pieces {PIECES} {EVERY_MS}"
        working = say(client, thread, words, harnessId="demo", linkId=link).json()["runId"]
        until(lambda: laptop.prompts, within=WITHIN, what="the turn")
        waiting = say(client, thread, "and this", key="second").json()
        assert waiting["answeredBy"] is None

        assert client.post(f"/threads/{thread}/queue/{waiting['runId']}/steer").status_code == 202
    if is_lost:
        breakable.kill_server()
        breakable.start()
    until(lambda: "and this" in str(laptop.said), within=WITHIN, what="its agent to read it")
    laptop.allow(PIECES)
    with breakable.client() as client:
        seen = until_finish(events(client, thread, after=0, run=waiting["runId"]))
        again = say(client, thread, "and this", key="second").json()

    [start] = [chunk for _, chunk in seen if chunk["type"] == "start"]
    assert start["messageMetadata"] == {"answeredBy": working}
    assert again == waiting | {"answeredBy": working}
    assert laptop.prompts == [words]
