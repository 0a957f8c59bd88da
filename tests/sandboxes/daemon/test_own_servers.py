"""How long a program may wait for MCP servers of the person's own settings."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from agents.harness.base import Again, Done, Emit, Write
from sandboxes.daemon import own_servers
from sandboxes.daemon.own_servers import SILENT_FOR, SilentServers
from sandboxes.daemon.streams import RunStream
from sandboxes.daemon.turns import Turn
from sandboxes.daemon.writer import Writer
from tests.sandboxes.daemon.test_turns import REQUEST, Conversation, ScriptedAdapter, notices

__all__ = ["notices"]

START = Emit({"type": "start", "messageId": "r1"})


class WaitingAdapter(ScriptedAdapter):
    """Opens a conversation until it is told to leave servers out, or until the test lets it."""

    def __init__(self):
        super().__init__()
        self.opens = ""
        self.told = []

    def begin(self, turn):
        self.calls.append(("begin", turn.left_out))
        self.opens = "" if turn.left_out else "session"
        self.turn = turn
        return [START, *([] if self.opens else [Done()])]

    def tell_waiting(self, servers):
        self.told.append(("waiting", servers))
        return [Write(b"told")]

    def leave_out(self, servers):
        self.told.append(("left out", servers))
        self.opens = ""
        return [Again(replace(self.turn, left_out=tuple(servers)))]


@pytest.fixture
async def turn(journal, notices):
    writer = Writer(journal)
    row = journal.open_run("r1", 1, thread_id="t1", harness="scripted")
    yield Turn(RunStream(journal, row), writer, REQUEST, notices)
    await writer.close()


@pytest.fixture
def conversation():
    conversation = Conversation()
    conversation.adapter = WaitingAdapter()
    conversation.own_servers = {"mute": "its hash"}
    return conversation


async def test_a_program_that_waits_too_long_is_started_again_without_them(
    turn, conversation, monkeypatch
):
    monkeypatch.setattr(own_servers, "TELL_AFTER", 0.0)
    monkeypatch.setitem(own_servers.LIMITS, "session", 0.01)

    await turn.run(conversation)

    adapter = conversation.adapter
    assert adapter.told == [("waiting", ("mute",)), ("left out", ("mute",))]
    assert adapter.calls == [("begin", ()), ("begin", ("mute",))]
    assert conversation.left_out == [("mute",)]  # for the next ones
    assert conversation.starts == 1


async def test_one_that_opens_in_time_is_left_alone(turn, conversation):
    adapter = conversation.adapter
    conversation.turn = turn
    turn._conversation = conversation
    turn.apply(adapter.begin(REQUEST))
    watch = turn._opening
    assert watch is not None
    adapter.opens = ""
    turn.apply([Emit({"type": "text-start", "id": "t"})])

    assert turn._opening is None
    assert all(timer.cancelled() for timer in watch._timers)


async def test_a_session_has_its_own_time_after_the_program_s_start(turn, conversation):
    adapter = conversation.adapter
    conversation.turn = turn
    turn._conversation = conversation
    adapter.opens = "program"
    turn.apply([START])
    first = turn._opening
    turn.apply([Emit({"type": "text-start", "id": "t"})])
    assert turn._opening is first
    adapter.opens = "session"
    turn.apply([Emit({"type": "text-end", "id": "t"})])

    assert turn._opening is not first
    assert all(timer.cancelled() for timer in first._timers)
    assert not any(timer.cancelled() for timer in turn._opening._timers)
    turn.close(None)


@pytest.mark.parametrize("how", ["its turn ends", "the run is closed"])
async def test_nothing_is_done_after_the_end(turn, conversation, how):
    conversation.turn = turn
    turn._conversation = conversation
    turn.apply(conversation.adapter.begin(REQUEST))
    watch = turn._opening
    if how == "its turn ends":
        turn.apply([Done()])
    else:
        turn.close(None)

    assert all(timer.cancelled() for timer in watch._timers)


async def test_a_program_without_such_servers_may_open_as_long_as_it_likes(turn, conversation):
    conversation.own_servers = {}
    conversation.turn = turn
    turn._conversation = conversation
    turn.apply(conversation.adapter.begin(REQUEST))

    assert turn._opening is None


async def test_an_adapter_that_fails_late_ends_the_turn(turn, conversation, monkeypatch):
    monkeypatch.setattr(own_servers, "TELL_AFTER", 0.0)
    monkeypatch.setattr(WaitingAdapter, "tell_waiting", lambda self, servers: 1 / 0)

    with pytest.raises(Exception, match="stopped unexpectedly"):
        await turn.run(conversation)


# What is remembered, by this sandbox and the others of the machine.

KEYS = {"mute": "a" * 64, "other": "b" * 64}


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "machine" / own_servers.NAME


@pytest.fixture
def silent(path, clock):
    """What one sandbox of a machine remembers."""
    path.parent.mkdir()
    return SilentServers(path, clock)


def test_what_did_not_answer_is_remembered_for_some_minutes_and_alone(silent, clock):
    silent.note([KEYS["mute"]])

    clock.now += SILENT_FOR - 1
    assert silent.among(KEYS) == ("mute",)
    assert silent.among({"mute": KEYS["other"]}) == ()  # another one of the same name
    clock.now += 1
    assert silent.among(KEYS) == ()


def test_another_sandbox_of_the_machine_knows_it_too(silent, path, clock):
    silent.note([KEYS["mute"]])
    other = SilentServers(path, clock)
    other.note([KEYS["other"]])

    assert SilentServers(path, clock).among(KEYS) == ("mute", "other")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_sandbox_in_a_container_remembers_its_own(clock):
    silent = SilentServers(None, clock)
    silent.note([KEYS["mute"]])

    assert silent.among(KEYS) == ("mute",)


@pytest.mark.parametrize(
    "found",
    [
        "",
        "{",
        "[" * 100_000,
        "[1]",
        json.dumps({KEYS["mute"]: "soon"}),
        json.dumps({KEYS["mute"]: float("nan")}),
    ],
    ids=["empty", "half", "deep", "a list", "texts", "no number"],
)
def test_a_file_that_says_nothing_is_written_anew(silent, path, found):
    path.write_text(found)

    assert silent.among(KEYS) == ()
    silent.note([KEYS["other"]])
    assert silent.among(KEYS) == ("other",)


def test_one_that_would_count_for_longer_than_some_minutes_does_not_count(silent, path, clock):
    """The machine's clock was wrong, or somebody else has written it."""
    silent.note([KEYS["mute"]])
    clock.now -= 3600

    assert silent.among(KEYS) == ()


def test_a_pipe_in_place_of_the_file_blocks_nothing(silent, path, clock):
    os.mkfifo(path)

    assert silent.among(KEYS) == ()
    silent.note([KEYS["mute"]])
    assert silent.among(KEYS) == ("mute",)


def test_a_folder_in_place_of_the_file_is_only_logged(silent, path, clock):
    path.mkdir()
    silent.note([KEYS["mute"]])

    assert silent.among(KEYS) == ("mute",)


def test_only_so_many_are_remembered(silent, path, clock):
    for n in range(3):
        clock.now += 1
        silent.note(f"{n}-{each}" for each in range(own_servers.MOST // 2))

    assert len(json.loads(path.read_text())) == own_servers.MOST
    assert silent.among({"new": "2-0", "old": "0-0"}) == ("new",)
