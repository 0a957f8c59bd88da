"""Ten thousand events while everything between the agent and its reader breaks: design §10."""

import time

import httpx
import pytest

from tests.faults.laptop import Laptop
from tests.faults.reader import Reader
from tests.faults.relay import Relay
from tests.running import say
from tests.waiting import until

pytestmark = pytest.mark.faults

PIECES, EVERY_MS = 3_334, 40  # three events a piece
CUTS, SERVER_KILLS, LINK_KILLS = 50, 3, 2


@pytest.fixture
def relay(breakable):
    with Relay(breakable.port) as relay:
        yield relay


@pytest.fixture
def laptop(breakable, relay, tmp_path):
    made = Laptop(tmp_path / "laptop", server=relay.url, token=breakable.token)
    yield made.start()
    made.close()


def online(mesh):
    """The id of the laptop's link, once the server holds its tunnel."""

    def find():
        headers = {"Authorization": f"Bearer {mesh.token}"}
        answer = httpx.get(f"{mesh.url}/api/links", headers=headers, trust_env=False)
        found = [one for one in answer.json()["links"] if one["name"] == "laptop"]
        return found and found[0]["state"] == "online" and found[0]["id"]

    return until(find, within=30, what="the laptop online")


def faults(mesh, laptop, relay):
    """What breaks, in its order: the kills spread over the cuts."""

    def cut():
        if len(laptop.said) >= PIECES:
            return  # on a machine that is slow to start servers: there is nothing left to cut
        until(relay.is_good, within=60, what="a connection to cut")
        relay.cut()

    def kill_server():
        mesh.kill_server()
        mesh.start()

    def kill_link():
        laptop.kill_link()
        laptop.start()

    order = [cut] * CUTS
    for place in range(SERVER_KILLS):
        order.insert((place + 1) * CUTS // (SERVER_KILLS + 1), kill_server)
    for place in range(LINK_KILLS):
        order.insert(5 + (place + 1) * CUTS // (LINK_KILLS + 1), kill_link)
    return order


def parts_of(chunks):
    """The texts and thoughts that these chunks make, in their order."""
    parts = {}
    for chunk in chunks:
        if chunk["type"] in ("text-delta", "reasoning-delta"):
            kind, text = parts.get(chunk["id"], (chunk["type"].removesuffix("-delta"), ""))
            parts[chunk["id"]] = (kind, text + chunk["delta"])
    return list(parts.values())


def test_ten_thousand_events_through_many_faults(breakable, laptop, relay):
    prompt = f"pieces {PIECES} {EVERY_MS}"
    with breakable.client() as client:
        link = online(breakable)
        thread = client.post("/threads", json={}).json()["id"]
        run = say(client, thread, prompt, harnessId="demo", linkId=link).json()["runId"]
    with Reader(lambda: breakable.url, token=breakable.token, thread=thread) as reader:
        order = faults(breakable, laptop, relay)
        for place, fault in enumerate(order, 1):
            due = place * PIECES // (len(order) + 1)
            until(lambda due=due: len(laptop.said) >= due, within=30, what=f"piece {due}")
            fault()
        repaired, written = time.monotonic(), len(laptop.said)
        until(lambda: len(parts_of(c for _, c in reader.seen)) >= written, within=20)
        caught_up = time.monotonic() - repaired
        until(lambda: reader.is_done, within=30, what="the end")
    print(f"{reader.last} events, {relay.cuts} cuts, caught up in {caught_up:.1f} s")

    assert relay.cuts >= CUTS // 4
    assert laptop.prompts == [prompt]
    assert [seq for seq, _ in reader.seen] == list(range(1, len(reader.seen) + 1))
    assert len(reader.seen) > 10_000
    assert parts_of(chunk for _, chunk in reader.seen) == laptop.said
    with breakable.client() as client:
        answer = client.get(f"/threads/{thread}/messages").json()["messages"][-1]
    assert (answer["id"], answer["metadata"]["state"]) == (run, "completed")
    stored = [(p["type"], p["text"]) for p in answer["parts"] if "text" in p]
    assert stored == laptop.said
