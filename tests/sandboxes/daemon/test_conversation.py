"""A conversation's program is ended, even if the caller is cancelled."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from sandboxes.daemon.conversation import Conversation
from sandboxes.daemon.journal import Journal
from sandboxes.daemon.program import Program
from tests.sandboxes.daemon.sandbox import is_alive
from tests.waiting import auntil

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)"


class Adapter:
    """Takes every line, and says nothing."""

    def __init__(self):
        self.lines = []

    def feed(self, line):
        self.lines.append(line)
        return []

    def ended(self, code, stderr):
        return []


@pytest.fixture
async def conversation(tmp_path):
    """One with a living program that hears no SIGTERM."""
    journal = Journal(tmp_path / "journal.db")
    adapter = Adapter()
    conversation = Conversation(
        thread_id="t",
        harness="h",
        make_adapter=lambda: adapter,
        cwd=tmp_path,
        journal=journal,
        mark="m.1",
    )
    argv = [sys.executable, "-c", f"{DEAF}; time.sleep(600)"]
    conversation.program = Program.start(argv, env=os.environ, cwd=tmp_path, listener=conversation)
    await auntil(lambda: adapter.lines)
    yield conversation
    await conversation.end()
    journal.close()


async def test_the_program_is_ended_even_if_its_caller_was_cancelled(conversation):
    asking = asyncio.create_task(conversation.end())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    await auntil(lambda: not is_alive(conversation.program.pid))
