from __future__ import annotations

import os
import subprocess
import sys

from mesh import processes
from tests.waiting import PATIENCE, until

DEAF = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


def start(code):
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    process.stdout.readline()
    return process


def test_a_process_is_known_by_pid_and_start():
    mine = processes.started_at(os.getpid())

    assert processes.is_same(os.getpid(), mine)
    assert not processes.is_same(os.getpid(), "1")
    assert not processes.is_same(os.getpid(), "")


def test_a_process_that_is_gone_has_no_start():
    process = start("print()")
    until(lambda: processes.started_at(process.pid) == "", what="even before it is reaped")
    process.wait()

    assert processes.started_at(process.pid) == ""
    assert not processes.group_lives(process.pid)


async def test_a_deaf_group_is_killed():
    process = start(DEAF)

    await processes.end_group(process.pid, grace=0.1)

    assert process.wait(PATIENCE) == -9


async def test_a_group_lives_on_without_its_leader_and_is_still_ended():
    code = f"import subprocess,sys; subprocess.Popen([sys.executable,'-c',{DEAF!r}])"
    process = start(code)
    process.wait(PATIENCE)
    assert processes.group_lives(process.pid)

    await processes.end_group(process.pid, grace=0.1)

    assert not processes.group_lives(process.pid)


async def test_ending_a_group_that_is_gone_is_fine():
    process = start("print()")
    process.wait()

    await processes.end_group(process.pid, grace=1)


async def test_a_group_whose_leaders_number_another_has_is_left_alone():
    process = start("print(flush=True); import time; time.sleep(600)")

    await processes.end_group_of(process.pid, "another time", grace=0)

    assert processes.group_lives(process.pid)
    await processes.end_group_of(process.pid, processes.started_at(process.pid), grace=5)
    assert process.wait(PATIENCE) == -15
