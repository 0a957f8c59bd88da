"""One program with real pipes: lines in, lines out, and an end that nothing holds up."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from mesh.processes import STEP, group_lives
from sandboxes.daemon import program as module
from sandboxes.daemon.lines import LineSplitter
from sandboxes.daemon.program import TERM_GRACE, Program, all_ended
from sandboxes.daemon.turns import INTERRUPT_GRACE
from tests.waiting import auntil


class Ear:
    """A listener that writes down what it hears."""

    def __init__(self):
        self.lines, self.exits, self.floods = [], [], 0

    def on_line(self, line):
        self.lines.append(line)

    def on_exit(self, code, stderr):
        self.exits.append((code, stderr))

    def on_flood(self):
        self.floods += 1


@pytest.fixture
async def start(tmp_path):
    """Return ``start(code)``: a running Python program and its listener, ended with the test."""
    started = []

    def start(code):
        ear = Ear()
        argv = [sys.executable, "-c", code]
        started.append(Program.start(argv, env=os.environ, cwd=tmp_path, listener=ear))
        return started[-1], ear

    yield start
    for program in started:
        await program.end(grace=0)


async def test_lines_in_and_lines_out(start):
    program, ear = start(
        "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"
    )
    program.write(b"one")
    program.write(b"two")

    await auntil(lambda: len(ear.lines) == 2)
    assert ear.lines == [b"ONE", b"TWO"]


async def test_its_end_is_told_once_with_all_it_said(start):
    program, ear = start(
        "import sys; sys.stderr.write('why'); sys.stdout.write('a\\nno line feed'); sys.exit(4)"
    )
    await program.gone

    assert ear.lines == [b"a", b"no line feed"]
    assert ear.exits == [(4, "why")]


async def test_of_stderr_the_end_is_kept(start):
    program, ear = start("import sys; sys.stderr.write('x' * 200_000 + 'end')")
    await program.gone

    assert len(ear.exits[0][1]) == module.STDERR_TAIL
    assert ear.exits[0][1].endswith("xend")


async def test_a_program_that_reads_late_loses_nothing(start):
    program, ear = start("import sys; sys.stdin.readline(); print(len(sys.stdin.readline()))")
    program.write(b"wait")
    program.write(b"x" * 3_000_000)

    await auntil(lambda: ear.lines)
    assert ear.lines == [b"3000001"]


async def test_writing_to_a_program_that_reads_no_more_is_no_error(start):
    program, ear = start(
        "import os; os.close(0); print('closed', flush=True); import time; time.sleep(60)"
    )
    await auntil(lambda: ear.lines)
    program.write(b"x" * 1_000_000)

    assert program.is_alive


async def test_a_grandchild_that_holds_the_pipe_does_not_hold_up_the_end(start):
    code = "import subprocess, sys; subprocess.Popen(['sleep', '600']); print('gone', flush=True)"
    program, ear = start(code)
    await program.gone

    assert ear.lines == [b"gone"]
    assert ear.exits == [(0, "")]
    await all_ended()
    assert not group_lives(program.pid)


async def test_a_grandchild_that_never_stops_talking_does_not_hold_up_the_end(start):
    program, ear = start("import subprocess; subprocess.Popen(['yes'])")
    await program.gone

    assert len(ear.exits) == 1
    await all_ended()
    assert not group_lives(program.pid)


async def test_a_line_without_an_end_is_given_up(start, monkeypatch):
    monkeypatch.setattr(module, "LineSplitter", lambda: LineSplitter(limit=100_000))
    program, ear = start("import sys\nwhile True: sys.stdout.write('x' * 65536)")

    await auntil(lambda: ear.floods)
    await program.end(grace=0.1)
    assert (ear.floods, ear.lines, len(ear.exits)) == (1, [], 1)


async def test_it_leads_a_group_of_its_own(start):
    program, _ = start("import time; time.sleep(60)")

    assert os.getpgid(program.pid) == program.pid != os.getpgid(0)
    assert program.started


async def test_ending_twice_is_ending_once(start):
    program, ear = start("import time; time.sleep(60)")
    await asyncio.gather(program.end(), program.end())

    assert len(ear.exits) == 1
    assert not program.is_alive


async def test_what_can_not_be_executed_raises(tmp_path):
    with pytest.raises(OSError):
        Program.start(["/no/such/file"], env={}, cwd=tmp_path, listener=Ear())


def test_a_deaf_program_is_gone_within_five_seconds():
    assert INTERRUPT_GRACE + TERM_GRACE + 2 * STEP < 5
