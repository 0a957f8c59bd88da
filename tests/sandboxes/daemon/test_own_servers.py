"""How long a program may wait for MCP servers of the person's own settings."""

from __future__ import annotations

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
    conversation.own_servers = ("mute",)
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
    conversation.own_servers = ()
    conversation.turn = turn
    turn._conversation = conversation
    turn.apply(conversation.adapter.begin(REQUEST))

    assert turn._opening is None


async def test_an_adapter_that_fails_late_ends_the_turn(turn, conversation, monkeypatch):
    monkeypatch.setattr(own_servers, "TELL_AFTER", 0.0)
    monkeypatch.setattr(WaitingAdapter, "tell_waiting", lambda self, servers: 1 / 0)

    with pytest.raises(Exception, match="stopped unexpectedly"):
        await turn.run(conversation)


def test_what_did_not_answer_is_remembered_for_some_minutes_and_for_its_program_alone():
    now = 0.0
    silent = SilentServers(lambda: now)
    silent.note("acp:gemini", ["mute"])

    now = SILENT_FOR - 1
    assert silent.of("acp:gemini") == ("mute",)
    assert silent.of("acp:opencode") == ()
    now = SILENT_FOR
    assert silent.of("acp:gemini") == ()
