import subprocess
import sys

import pytest

from mesh import processes


@pytest.fixture
def child():
    """A process that waits, and minds SIGTERM unless told not to; ended by the fixture."""
    started = []

    def start(code="input()"):
        process = subprocess.Popen(
            [sys.executable, "-c", f"print(flush=True); {code}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_a_living_process_has_a_start_time(child):
    process = child()

    assert processes.is_same(process.pid, processes.started_at(process.pid))


def test_a_zombie_counts_as_gone(child):
    process = child()
    process.kill()
    process.wait()

    assert processes.started_at(process.pid) == ""
    assert not processes.is_same(process.pid, "")


def test_end_ends(child):
    process = child()

    processes.end(process.pid, processes.started_at(process.pid))

    assert process.wait() == -15


def test_a_process_that_ignores_sigterm_is_killed(child):
    ignoring = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)"
    process = child(f"{ignoring}; input()")
    process.stdout.readline()

    processes.end(process.pid, processes.started_at(process.pid), within=0.1)

    assert process.wait() == -9


def test_another_that_only_has_the_number_is_left_alone(child):
    process = child()

    processes.end(process.pid, "some other time")

    assert process.poll() is None
