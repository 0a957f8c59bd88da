"""What runs beside the servers: the Celery worker, and the containers' health check."""

import subprocess
import sys

import pytest

from tests.cluster.conftest import CELERY
from tests.running import say
from tests.servers import ROOT
from tests.waiting import until


@pytest.fixture
def late(chat):
    """A message that waited too long for its machine: the id of its run."""
    chat.laptop.close()  # says goodbye
    until(
        lambda: {one["id"]: one["state"] for one in chat.two.links()}[chat.link] == "offline",
        what="the laptop offline",
    )
    run = chat.say("hello", whenOffline="queue")
    chat.two.cluster.manage(
        "shell",
        "-c",
        "from django.utils import timezone; from threads.models import Run;"
        f"Run.objects.filter(pk={run!r}).update(expires_at=timezone.now())",
    )
    return run


def test_a_task_ends_what_waited_too_long(chat, late, worker):
    with chat.reader() as reader:
        words = ["call", "threads.expire_queued_runs"]
        subprocess.run([*CELERY, *words], cwd=ROOT, env=chat.two.cluster.environ, check=True)

        until(lambda: reader.is_done, within=60, what="the end")  # told live, from the worker

    answer = chat.get("/messages")["messages"][-1]
    assert (answer["id"], answer["metadata"]["state"]) == (late, "expired")
    assert answer["metadata"]["error"]["code"] == "expired"


def test_a_message_that_may_not_wait_is_refused_meanwhile(chat, late):
    with chat.two.client() as client:
        answer = say(client, chat.id, "and?", harnessId="demo")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "link_offline")


SERVED = """
from mesh.services import make_home
from agents.services import make_default_agent
from mesh.models import Organization
from threads.models import Message, Run, Thread
owner = make_home(username="ada")
agent = make_default_agent(organization=Organization.objects.get(slug="home"))
thread = Thread.objects.create(owner=owner, organization=agent.organization, agent=agent,
    sandbox_provider_kind="no-such-kind", harness_id="demo", branch="main")
prompt = Message.objects.create(thread=thread, role="user", client_id="c", seq=0, parts=[])
print("run:", Run.objects.create(thread=thread, prompt=prompt, lane="server").pk)
"""
ENDED = """
from threads.models import Run
run = Run.objects.get(pk={!r})
print("ended:", run.error_code, run.node in ("A", "B"))
"""


def test_a_run_of_the_server_lane_is_the_workers(two, worker):
    """No server takes it. It can only end with the code of its impossible kind of sandbox."""
    manage = two.cluster.manage
    run = manage("shell", "-c", SERVED).rpartition("run: ")[2]

    def ended():
        said = manage("shell", "-c", ENDED.format(run)).rpartition("ended: ")[2]
        return said if said.startswith("unknown_kind") else ""

    assert until(ended, within=60, what="the end") == "unknown_kind False"


def test_the_health_check_tells_a_living_server_from_a_dead_one(two):
    def check():
        words = [sys.executable, "-m", "mesh.health", str(two.port("B"))]
        return subprocess.run(words, cwd=ROOT, env=two.cluster.environ, check=False).returncode

    assert check() == 0
    two.cluster.kill("B")
    assert check() == 1
