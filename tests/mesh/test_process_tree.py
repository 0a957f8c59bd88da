"""The table of processes, and the end of all that descends from one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mesh import process_tree
from mesh.process_tree import Process, below, end_all, end_tree, read_ps, table
from mesh.processes import started_at
from tests.waiting import until

DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(); time.sleep(600)"
)
FAMILY = f"""
import subprocess, sys, time
child = subprocess.Popen(
    [sys.executable, "-uc", {DEAF!r}], stdout=subprocess.PIPE, start_new_session=True
)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def family():
    """A process and its child, which is in a session of its own and hears no SIGTERM."""
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE) as parent:
        yield parent.pid, int(parent.stdout.readline())
        parent.kill()


def a_process(pid, parent):
    return Process(pid, "1", parent=parent, group=pid, session=pid, began=0)


def test_below_is_whatever_descends_but_not_the_root():
    processes = {pid: a_process(pid, parent) for pid, parent in [(2, 1), (3, 2), (4, 3), (5, 1)]}

    assert {one.pid for one in below(processes, [2])} == {3, 4}


def test_the_table_knows_us_as_processes_does():
    mine = table()[os.getpid()]

    assert mine.started == started_at(os.getpid())
    assert (mine.parent, mine.session) == (os.getppid(), os.getsid(0))
    assert mine.began <= process_tree.now()


async def test_all_end_whatever_their_session(family):
    parent, child = family

    await end_all(lambda processes: below(processes, [os.getpid()]) & _of(parent), grace=0.1)

    assert not {parent, child} & table().keys()


def _of(pid):
    processes = table()
    return {processes[pid]} if pid in processes else set()


async def test_one_that_does_not_end_in_time_goes_with_all_below_it(family):
    parent, child = family

    await end_tree(parent, started_at(parent), after=0.05)

    assert not {parent, child} & table().keys()


async def test_what_another_has_the_number_of_is_left_alone(family):
    parent, _ = family

    await end_all(lambda _: {Process(parent, "another", 0, 0, 0, 0)}, grace=0)

    assert parent in table()


def test_the_table_that_ps_gives_is_the_same(monkeypatch, family):
    """As on a system that has no /proc."""
    parent, child = family
    from_proc = table()
    monkeypatch.setattr(process_tree, "HAS_PROC", False)

    from_ps = until(lambda: (found := table()).keys() >= {parent, child} and found)

    for pid in (parent, child):
        ours, theirs = from_proc[pid], from_ps[pid]
        assert (ours.parent, ours.group, ours.session) == (
            theirs.parent,
            theirs.group,
            theirs.session,
        )


def test_what_ps_says_is_read():
    text = """\
    1     0     1 Ss   03-04:05:06 Thu Nov 26 13:44:00 2026
  502     1   502 S+         00:07 Sun Nov 29 17:49:11 2026
  503   502   502 Z          00:01 Sun Nov 29 17:49:17 2026
"""
    first, second = read_ps(text, now=1_000_000.0)

    assert (first.pid, first.began) == (1, 1_000_000 - (3 * 86_400 + 4 * 3600 + 5 * 60 + 6))
    assert (second.parent, second.group, second.began) == (1, 502, 999_993)
    assert second.started == "Sun Nov 29 17:49:11 2026"
