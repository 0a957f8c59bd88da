import os
import subprocess
import sys

import pytest

from links.daemon import process
from tests.links.daemon.conftest import is_running
from tests.waiting import until

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(1, flush=True)
time.sleep(60)
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def run():
    """Return ``run(code)``: a Python process in a session of its own, and its first line."""
    children = []

    def start(code):
        child = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
        )
        children.append(child)
        return child, child.stdout.readline()

    yield start
    for child in children:
        child.kill()
        child.wait()
        child.stdout.close()


def test_we_are_alive():
    assert process.is_alive(os.getpid(), process.started(os.getpid()))


def test_a_pid_that_another_process_has_now_is_not_alive():
    assert not process.is_alive(os.getpid(), "1")


def test_a_zombie_is_no_more(run):
    child, _ = run("print(1)")

    until(lambda: process.started(child.pid) is None)
    assert child.poll() == 0  # only now collected


async def test_the_group_is_ended(run):
    child, line = run(PARENT)

    await process.end_group(child.pid, process.started(child.pid))

    child.wait()
    until(lambda: not is_running(int(line)))


async def test_who_ignores_sigterm_is_killed(run):
    child, _ = run(STUBBORN)

    await process.end_group(child.pid, process.started(child.pid), wait=0.1)

    assert child.wait() == -9


async def test_a_stranger_with_the_same_pid_is_left_alone(run):
    child, _ = run(PARENT)

    await process.end_group(child.pid, "1")

    assert child.poll() is None
