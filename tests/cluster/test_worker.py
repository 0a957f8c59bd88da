"""What runs beside the servers: the Celery worker, and the containers' health check."""

import contextlib
import subprocess
import sys

import pytest

from tests.cluster.conftest import CELERY
from tests.running import say
from tests.servers import ROOT
from tests.waiting import until


@contextlib.contextmanager
def running(two, *words):
    """Run a program of the cluster while the block lasts."""
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=two.cluster.environ)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def late(chat):
    """A message that waited too long for its machine: the id of its run."""
    chat.leave()
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

    why = chat.get("/messages")["messages"][-1]["metadata"]["neverSent"]
    assert (why["runId"], why["code"]) == (late, "expired")


def test_a_message_that_may_not_wait_is_refused_meanwhile(chat, late):
    with chat.two.client() as client:
        answer = say(client, chat.id, "and?", harnessId="demo")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "link_offline")


LATE = """
from datetime import timedelta
from django.utils import timezone
from mesh.services import make_home
from agents.services import make_default_agent
from links.models import Link
from mesh.models import Organization
from threads.models import Message, Run, Thread
owner, now = make_home(username="ada"), timezone.now()
agent = make_default_agent(organization=Organization.objects.get(slug="home"))
link = Link.objects.create(user=owner, machine_id="gone", cli_version="1", protocol_version=1)
for _ in range(30):
    thread = Thread.objects.create(owner=owner, organization=agent.organization, agent=agent,
        sandbox_provider_kind="remote-user", harness_id="demo", branch="main", link=link)
    prompt = Message.objects.create(thread=thread, role="user", client_id="c", seq=0, parts=[])
    Run.objects.create(thread=thread, prompt=prompt, expires_at=now - timedelta(seconds=1))
print("link:", link.pk)
"""
ENDS = """
from threads.models import Event, Message, Run
runs = Run.objects.filter(thread__link={!r})
finishes = Event.objects.filter(run__in=runs, chunk__contains='"type":"finish"')
answers = Message.objects.filter(answered_run__in=runs)
print("ends:", runs.filter(state="expired").count(), finishes.count(), answers.count())
"""
# As `celery beat`, but that each task is due every second.
QUICK_BEAT = """
import sys
from mesh.celery import app
for entry in app.conf.beat_schedule.values():
    entry["schedule"] = 1.0
app.start(["beat", "--schedule", sys.argv[1], "--loglevel", "WARNING"])
"""


def test_two_beats_and_two_workers_do_a_thing_once(two, workers, tmp_path):
    """Each run ends once, though both beats have both workers look for it again and again."""
    manage = two.cluster.manage
    workers.start()
    workers.start()
    link = manage("shell", "-c", LATE).rpartition("link: ")[2]
    with contextlib.ExitStack() as beats:
        for name in ("one", "other"):
            beats.enter_context(running(two, "-c", QUICK_BEAT, str(tmp_path / name)))

        def ends():
            said = manage("shell", "-c", ENDS.format(link)).rpartition("ends: ")[2]
            return said if said.startswith("30 ") else ""

        assert until(ends, within=60, what="the end of all") == "30 30 30"


TOLD = """
import json
from threads.models import Event
texts = Event.objects.filter(run={!r}, chunk__contains="data-run-status").order_by("seq")
told = [json.loads(event.chunk)["data"].get("code", "") for event in texts]
print("told:", *filter(None, told))
"""
SERVED = """
from datetime import timedelta
from django.utils import timezone
from mesh.services import make_home
from agents.services import make_default_agent
from mesh.models import Organization
from threads.models import Message, Run, Thread
owner = make_home(username="ada")
agent = make_default_agent(organization=Organization.objects.get(slug="home"))
thread = Thread.objects.create(owner=owner, organization=agent.organization, agent=agent,
    sandbox_provider_kind="no-such-kind", harness_id="demo", branch="main")
prompt = Message.objects.create(thread=thread, role="user", client_id="c", seq=0, parts=[])
since = timezone.now() - timedelta(minutes=1)
run = Run.objects.create(thread=thread, prompt=prompt, executor="server", created_at=since)
print("run:", run.pk)
"""


def test_a_run_of_the_server_lane_is_the_workers(two, workers):
    """No server takes it, both look, and one says so. With a worker it can end, with the code of
    its impossible kind of sandbox."""
    manage = two.cluster.manage
    run = manage("shell", "-c", SERVED).rpartition("run: ")[2]

    def told():
        return manage("shell", "-c", TOLD.format(run)).rpartition("told:")[2].strip()

    assert until(told, within=60, what="the sentence") == "waits_for_worker"
    workers.start()
    until(lambda: "unknown_kind" in told(), within=60, what="the end")
    assert told() == "waits_for_worker unknown_kind"


def test_the_health_check_tells_a_living_server_from_a_dead_one(two):
    def check():
        words = [sys.executable, "-m", "mesh.health", str(two.port("B"))]
        return subprocess.run(words, cwd=ROOT, env=two.cluster.environ, check=False).returncode

    assert check() == 0
    two.cluster.kill("B")
    assert check() == 1
