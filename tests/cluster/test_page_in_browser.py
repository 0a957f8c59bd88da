"""A chat page in a real browser, whose server goes: it reads on at the other, missing nothing."""

import re

import pytest
from playwright.sync_api import expect

from tests.cluster.conftest import Two
from tests.faults.laptop import Laptop
from tests.faults.relay import Relay
from tests.faults.trial import EVERY_MS
from tests.running import say
from tests.servers import cluster, free_port
from tests.waiting import until

pytestmark = pytest.mark.browser

PIECES = 100
PATIENCE = 60_000  # milliseconds
WORDS = [f"{n}-ä🙂" for n in range(1, PIECES + 1, 2)]  # the others are thoughts


@pytest.fixture
def served(tmp_path):
    """Two servers behind one address, which leads to A while that lives: (them, the relay)."""
    ports = {"A": free_port(), "B": free_port()}
    with (
        Relay(*ports.values()) as relay,
        cluster(tmp_path / "home", MESH_URL=relay.url) as made,
    ):
        made.manage("collectstatic", "--noinput", "-v", "0")
        two = Two(made, session=made.session(), token=made.token())
        for name, port in ports.items():
            two.urls[name] = f"http://127.0.0.1:{port}"
            made.serve(name, port)
        yield two, relay


@pytest.fixture
def laptop(served, tmp_path):
    made = Laptop(tmp_path / "laptop", server=served[1].url, token=served[0].token)
    yield made.start()
    made.close()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_it_reads_on_at_the_other_server(served, laptop, page, how):
    two, relay = served
    link = laptop.online()
    laptop.allow(0)
    with two.client("B") as client:
        thread = client.post("/threads", json={}).json()["id"]
        say(client, thread, f"pieces {PIECES} {EVERY_MS}", harnessId="demo", linkId=link)
    page.context.add_cookies([{"name": "mesh_session", "value": two.session, "url": relay.url}])
    page.goto(f"{relay.url}/home/threads/{thread}")
    laptop.allow(PIECES // 2)
    answer = page.locator(".message--answer")
    expect(answer).to_contain_text(WORDS[len(WORDS) // 2 - 1], timeout=PATIENCE)

    getattr(two.cluster, how)("A")
    laptop.allow(PIECES)

    expect(answer).to_contain_text(WORDS[-1], timeout=PATIENCE)
    expect(page.locator("#stop")).to_be_hidden(timeout=PATIENCE)
    expect(page.locator("#away")).to_be_hidden(timeout=PATIENCE)
    said = " ".join(page.locator(".message--answer .prose").all_inner_texts())
    assert re.findall(r"\d+-ä🙂", said) == WORDS
    until(lambda: len(laptop.prompts) == 1, what="one prompt")
