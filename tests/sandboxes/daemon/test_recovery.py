"""What is left when a sandbox dies, ends in order, or loses its last commits."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys

import pytest

from mesh import keys
from sandboxes.daemon import recovery
from sandboxes.daemon.descendants import Marks
from sandboxes.daemon.journal import Row
from tests.sandboxes.daemon.sandbox import (
    ROOT_OF_THE_CODE,
    is_alive,
    kinds_of,
    numbers_of,
    read_words,
    text_of,
)
from tests.waiting import PATIENCE, auntil

pytestmark = pytest.mark.programs


@pytest.mark.faults
async def test_a_killed_sandbox_ends_its_runs_at_the_next_number(make_sandbox):
    sandbox = make_sandbox()
    seen = []
    async with sandbox.dispatch("r1", ["slowly", 2000]) as events:
        async for event in events:
            seen.append(event)
            if len(seen) == 30:
                sandbox.kill()
                break
    sandbox.start()

    rest = await sandbox.replay("r1", after=30)
    whole = await sandbox.replay("r1")

    assert whole[:30] == seen
    assert whole[30:] == rest
    assert numbers_of(whole) == list(range(1, len(whole) + 1))
    assert kinds_of(rest)[-5:] == ["error", "text-end", "error", "finish", "done"]
    assert rest[-5][1]["code"] == "sandbox_died"
    assert text_of(whole) == "".join(f"{n} " for n in range(1, len(text_of(whole).split()) + 1))


@pytest.mark.faults
async def test_a_new_sandbox_ends_the_programs_that_were_left_over(make_sandbox):
    sandbox = make_sandbox()
    async with sandbox.dispatch(
        "r1", ["pid"], ["grandchild"], ["forever"], harness="deaf"
    ) as events:
        pids = [int(word) for word in text_of(await read_words(events, 2)).split()]
        sandbox.kill()
    assert all(map(is_alive, pids))

    sandbox.start()

    await auntil(lambda: not any(map(is_alive, pids)))
    assert text_of(await sandbox.run("r2", ["say", "on we go"])) == "on we go"


async def test_a_finished_run_survives_a_kill_as_it_is(make_sandbox):
    sandbox = make_sandbox()
    events = await sandbox.run("r1", ["say", "hi"])
    sandbox.kill()
    sandbox.start()

    assert await sandbox.replay("r1") == events


async def test_sigterm_gives_every_run_its_last_words(make_sandbox):
    sandbox = make_sandbox()
    (sandbox.root / "repo").mkdir(exist_ok=True)
    (sandbox.root / "repo" / "work.txt").write_text("half done")
    async with sandbox.dispatch("r1", ["pid"], ["forever"], harness="deaf") as events:
        seen = [await anext(events) for _ in range(3)]
        assert sandbox.stop() == 0
        seen += [event async for event in events]

    assert kinds_of(seen)[-1] == "done"
    assert [body["code"] for _, body in seen if body["type"] == "error"] == ["sandbox_stopped"]
    assert not is_alive(int(text_of(seen)))
    assert not (sandbox.root / "pid").exists()
    assert (sandbox.root / "repo" / "work.txt").read_text() == "half done"


async def test_it_outlives_the_terminal_of_the_link(sandbox):
    sandbox.process.send_signal(signal.SIGHUP)

    assert text_of(await sandbox.run("r1", ["say", "still here"])) == "still here"


async def test_a_second_process_for_the_same_folder_is_refused(sandbox):
    second = subprocess.run(
        [sys.executable, "-m", "sandboxes.daemon", "--root", sandbox.root],
        input=json.dumps({"serverKey": keys.public_key()}),
        cwd=ROOT_OF_THE_CODE,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert second.returncode == 3
    assert "already_running" in second.stderr
    assert text_of(await sandbox.run("r1", ["say", "hi"])) == "hi"


async def test_a_reader_that_has_more_than_the_journal_gets_an_end(make_sandbox):
    """After a power cut the journal may lack what the server has already kept."""
    sandbox = make_sandbox()
    events = await sandbox.run("r1", ["say", "hi"])

    rest = await sandbox.replay("r1", after=len(events) + 7)

    assert numbers_of(rest) == [len(events) + n for n in (8, 9, 10)]
    assert kinds_of(rest) == ["error", "finish", "done"]
    assert await sandbox.replay("r1", after=len(events) + 7) == rest


# In the process


def put(journal, *bodies):
    key = journal.open_run("r1", 1, thread_id="t", harness="plain").key
    rows = [
        Row(key, n, json.dumps(body, separators=(",", ":")).encode())
        for n, body in enumerate(bodies, 1)
    ]
    journal.append(rows)
    return key


def test_a_run_that_never_said_a_word_gets_a_whole_message(journal):
    key = put(journal)

    assert recovery.close_unfinished_runs(journal) == 1

    kinds = [
        json.loads(raw).get("chunk", json.loads(raw))["type"]
        for _, raw in journal.read(key, after=0)
    ]
    assert kinds == ["error", "start", "error", "finish", "done"]


def test_a_run_that_died_right_after_its_done_is_just_done(journal):
    key = put(journal, {"type": "done"})

    recovery.close_unfinished_runs(journal)

    assert journal.find_run("r1").done_n == 1
    assert len(journal.read(key, after=0)) == 1


def test_recovering_twice_changes_nothing(journal):
    key = put(journal, {"type": "ui-message-chunk", "chunk": {"type": "start"}})
    recovery.close_unfinished_runs(journal)
    first = journal.read(key, after=0)

    assert recovery.close_unfinished_runs(journal) == 0
    assert journal.read(key, after=0) == first


async def test_somebody_else_s_process_under_an_old_pid_is_left_alone(journal, tmp_path):
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as other:
        journal.add_process(other.pid, "12345")

        await recovery.end_leftovers(journal, Marks(tmp_path))

        assert is_alive(other.pid)
        other.kill()
    assert journal.list_processes() == []


def test_the_journal_is_readable_by_nobody_else(tmp_path, journal):
    assert (tmp_path / "journal.db").stat().st_mode & 0o077 == 0
    assert sqlite3.connect(tmp_path / "journal.db").execute("PRAGMA journal_mode").fetchone() == (
        "wal",
    )
