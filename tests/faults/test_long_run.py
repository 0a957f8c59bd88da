"""Thousands of events while everything between the agent and its reader breaks: design §10.

Here with one server and SQLite; with several, PostgreSQL and a Redis that forgets in
``tests/cluster/test_long_run.py``.
"""

import pytest

from tests.faults.reader import Reader, assert_whole
from tests.faults.trial import Trial, spread
from tests.running import say

pytestmark = pytest.mark.faults

PIECES = 1_000  # three events each
CUTS = 12


def test_a_long_run_through_many_faults(breakable, laptop, relay):
    def kill_server():
        breakable.kill_server()
        breakable.start()

    with breakable.client() as client:
        link = laptop.online()
        thread = client.post("/threads", json={}).json()["id"]
    with Reader(lambda: breakable.url, token=breakable.token, thread=thread) as reader:
        trial = Trial(laptop, relay, reader, pieces=PIECES)
        with breakable.client() as client:
            run = say(client, thread, trial.prompt, harnessId="demo", linkId=link).json()["runId"]
        kills = {CUTS // 2: [kill_server, trial.kill_link], CUTS: [kill_server]}
        trial.go_through(spread(CUTS, trial.cut, kills))
    print(trial.figures())

    assert relay.cuts == CUTS
    assert laptop.prompts == [trial.prompt]
    assert_whole(reader.seen, laptop.said)
    assert len(laptop.said) == PIECES
    with breakable.client() as client:
        answer = client.get(f"/threads/{thread}/messages").json()["messages"][-1]
    assert (answer["id"], answer["metadata"]["state"]) == (run, "completed")
    assert [(p["type"], p["text"]) for p in answer["parts"] if "text" in p] == laptop.said
