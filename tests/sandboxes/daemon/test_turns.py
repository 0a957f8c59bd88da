"""One turn: what it journals of an adapter's outputs, and how it answers, steers and ends."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from agents.harness.base import (
    START_MINUTES,
    Again,
    Applied,
    Ask,
    Done,
    Emit,
    Fail,
    NotSteered,
    Steered,
    TurnInput,
    Withdrawn,
    Write,
)
from mesh.lib.errors import AppError
from sandboxes.daemon.background import BackgroundWork
from sandboxes.daemon.conversation import HarnessCrashed
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.streams import RunStream
from sandboxes.daemon.turns import (
    AlreadyAnswered,
    NotSteerable,
    QuestionWithdrawn,
    Turn,
    UnknownApproval,
)
from sandboxes.daemon.writer import Writer

REQUEST = TurnInput(
    thread_id="t1",
    run_id="r1",
    messages=({"role": "user", "parts": [{"type": "text", "text": "hi"}]},),
    models={},
    mode="default",
    approval_level="ask",
    user={},
    organization_id="o1",
    agent={},
)
QUESTION = Ask(
    approval_id="a1",
    tool_call_id="c1",
    tool="Bash",
    input={"command": "ls"},
    chunk={"type": "tool-approval-request", "approvalId": "a1", "toolCallId": "c1"},
)


class ScriptedAdapter:
    """Answers each call with the outputs that the test has put there, or raises them."""

    is_starting = False

    def __init__(self):
        self.outs = {"begin": [], "answer": [], "steer": [], "interrupt": [Done()]}
        self.calls = []
        self.answered = None

    def _reply(self, name):
        self.calls.append(name)
        if isinstance(self.outs[name], Exception):
            raise self.outs[name]
        return self.outs[name]

    def begin(self, turn):
        return self._reply("begin")

    def answer(self, approval_id, decision, reason, answers):
        self.answered = answers
        return self._reply("answer")

    def steer(self, steer_id, message):
        return self._reply("steer")

    def interrupt(self):
        return self._reply("interrupt")


class LivingProgram:
    """A program that runs until it is ended."""

    def __init__(self):
        self.is_alive = True

    def end(self):
        self.is_alive = False


class Conversation:
    """The part of a conversation that a turn uses, around a program that does nothing."""

    def __init__(self):
        self.adapter = ScriptedAdapter()
        self.program = LivingProgram()
        self.cwd, self.turn, self.heard_at = Path("."), None, 0.0
        self.lines, self.starts = [], 0
        self.background = BackgroundWork()
        self.own_servers, self.left_out = {}, []
        self.on_left_out = self.left_out.append

    def start(self, request):
        self.starts += 1
        self.program = LivingProgram()

    def write(self, line):
        self.lines.append(line)

    async def end(self):
        self.program.end()

    async def renew(self):
        self.adapter = ScriptedAdapter()
        self.adapter.outs["begin"] = [Emit({"type": "text-start", "id": "t"}), Done()]


@pytest.fixture
def notices(tmp_path):
    return Notices(tmp_path)


@pytest.fixture
async def turn(journal, notices):
    writer = Writer(journal)
    row = journal.open_run("r1", 1, thread_id="t1", harness="scripted")
    yield Turn(RunStream(journal, row), writer, REQUEST, notices)
    await writer.close()


@pytest.fixture
def conversation():
    return Conversation()


@pytest.fixture
def events(turn, journal):
    """Return the events of the run, as the journal has them."""

    def read():
        turn._writer.flush()
        return [json.loads(raw) for _, raw in journal.read(turn.stream.key, after=0)]

    return read


@pytest.fixture
async def asked(turn, conversation):
    """A turn whose agent has asked the question ``a1`` and not ended."""
    conversation.turn = turn
    turn._conversation = conversation
    turn.apply([QUESTION])
    return turn


async def test_what_the_checkout_has_to_say_follows_the_start_of_the_answer_once(
    turn, conversation, notices, events
):
    notices.add("lfs_missing", "Large files are missing.")
    start = {"type": "start", "messageId": "r1"}
    conversation.adapter.outs["begin"] = [Emit(start), Emit({"type": "start-step"}), Done()]

    await turn.run(conversation)

    chunks = [event["chunk"] for event in events() if "chunk" in event]
    assert [chunk["type"] for chunk in chunks] == ["start", "data-notice", "start-step"]
    assert chunks[1]["data"]["text"] == "Large files are missing."
    assert notices.pending == ()


async def test_outputs_reach_the_program_and_the_journal_in_order(turn, conversation, events):
    chunk = {"type": "start", "messageId": "r1"}
    conversation.adapter.outs["begin"] = [Write(b"prompt"), Emit(chunk), Done()]

    await turn.run(conversation)

    assert conversation.lines == [b"prompt"]
    assert [event["chunk"]["type"] for event in events()] == ["start"]


async def test_a_kept_program_that_ends_before_a_word_is_replaced_once(turn, conversation, events):
    conversation.adapter.outs["begin"] = [Emit({"type": "start", "messageId": "r1"})]
    running = asyncio.create_task(turn.run(conversation))
    await asyncio.sleep(0)

    assert turn.begin_anew()
    assert not turn.begin_anew()
    await running

    assert conversation.starts == 1
    assert [event["chunk"]["type"] for event in events()] == ["start", "text-start"]


@pytest.mark.parametrize("happened", ["shown", "steered", "over"])
async def test_it_is_not_replaced_once_something_came_of_the_message(turn, conversation, happened):
    conversation.adapter.outs["begin"] = {
        "shown": [Emit({"type": "text-start", "id": "t"})],
        "over": [Done()],
    }.get(happened, [])
    running = asyncio.create_task(turn.run(conversation))
    await asyncio.sleep(0)
    if happened == "steered":
        conversation.adapter.outs["steer"] = []
        turn.steer("s1", {})

    assert not turn.begin_anew()

    turn.apply([Done()])
    await running


async def test_nothing_follows_the_end_of_a_turn(turn, conversation, events):
    conversation.adapter.outs["begin"] = [Done(), Write(b"late"), Fail("late", "Too late.")]

    await turn.run(conversation)

    assert (conversation.lines, events()) == ([], [])


async def test_a_dead_program_is_started_before_the_turn(turn, conversation):
    conversation.program.is_alive = False
    conversation.adapter.outs["begin"] = [Done()]

    await turn.run(conversation)

    assert conversation.starts == 1


async def test_a_turn_that_begins_again_gets_a_new_program(turn, conversation):
    replies = iter([[Again(REQUEST)], [Done()]])
    conversation.adapter.begin = lambda request: next(replies)

    await turn.run(conversation)

    assert (conversation.starts, conversation.turn) == (1, turn)


async def test_a_crash_ends_the_program_and_is_raised(turn, conversation):
    conversation.adapter.begin = lambda request: turn.crash(HarnessCrashed()) or []

    with pytest.raises(HarnessCrashed):
        await turn.run(conversation)
    assert not conversation.program.is_alive


@pytest.mark.parametrize(
    ("error", "types", "codes"),
    [
        pytest.param(None, ["start", "abort", "finish"], [], id="stopped"),
        pytest.param(
            HarnessCrashed(), ["start", "error", "finish"], [HarnessCrashed.code], id="failed"
        ),
    ],
)
async def test_closing_completes_the_message_and_ends_with_done(turn, events, error, types, codes):
    turn.close(error)

    *before, last = events()
    assert last["type"] == "done"
    chunks = [event["chunk"]["type"] for event in before if event["type"] == "ui-message-chunk"]
    assert chunks == types
    assert [event["code"] for event in before if event["type"] == "error"] == codes


async def test_a_program_that_dies_after_a_stop_is_no_failure(turn, conversation, events):
    conversation.adapter.outs["interrupt"] = [Fail("died", "It died."), Done()]
    turn._conversation = conversation

    await turn.stop()

    assert (turn.is_over, events()) == (True, [])


async def test_stopping_a_program_that_does_not_obey_ends_it(turn, conversation):
    conversation.adapter.outs["interrupt"] = []
    turn._conversation = conversation

    await turn.stop(grace=0)

    assert (turn.is_over, conversation.program.is_alive) == (True, False)


async def test_an_answer_is_in_the_journal_before_the_program_gets_it(asked, conversation, events):
    conversation.adapter.outs["answer"] = [Write(b"yes"), Applied("a1", "allow")]
    journalled = []
    conversation.write = lambda line: journalled.extend(event["type"] for event in events())

    asked.answer("a1", "allow", "")

    assert journalled[-1] == "approval-applied"


async def test_a_secret_answer_reaches_the_agent_and_no_journal(asked, conversation, events):
    secret = {"questions": [{"question": "Key?", "secret": True}]}
    chunk = {"type": "tool-approval-request", "approvalId": "a2", "toolCallId": "c2"}
    asked.apply([Ask("a2", "c2", "AskUserQuestion", secret, chunk)])
    output = {"type": "tool-output-available", "toolCallId": "c2", "output": "Key? hunter2"}
    said = {"type": "text-delta", "id": "t", "delta": "I use hunter2 now"}
    conversation.adapter.outs["answer"] = [Emit(output), Emit(said), Applied("a2", "allow")]

    asked.answer("a2", "allow", "", {"Key?": "hunter2"})

    assert conversation.adapter.answered == {"Key?": "hunter2"}
    assert "hunter2" not in str(events())
    assert "I use (answered) now" in str(events())


async def test_the_same_answer_again_changes_nothing(asked, conversation):
    asked.answer("a1", "allow", "")
    asked.answer("a1", "allow", "")

    assert conversation.adapter.calls == ["answer"]


@pytest.mark.parametrize(
    ("approval_id", "error"),
    [
        pytest.param("a2", UnknownApproval, id="a question that was never asked"),
        pytest.param("a1", AlreadyAnswered, id="the opposite answer"),
    ],
)
async def test_answers_that_are_refused(asked, approval_id, error):
    asked.answer("a1", "allow", "")

    with pytest.raises(error):
        asked.answer(approval_id, "deny", "")


async def test_a_question_that_was_taken_back_is_answered_no_more(asked, conversation, events):
    asked.apply([Withdrawn("a1"), Withdrawn("a1"), Withdrawn("a2")])

    with pytest.raises(QuestionWithdrawn):
        asked.answer("a1", "allow", "")
    told = [body for body in events() if body["type"] == "approval-withdrawn"]
    assert told == [{"type": "approval-withdrawn", "approvalId": "a1"}]
    assert conversation.adapter.calls == []


async def test_what_has_an_answer_can_t_be_taken_back(asked, events):
    asked.answer("a1", "allow", "")
    asked.apply([Withdrawn("a1")])

    asked.answer("a1", "allow", "")
    assert "approval-withdrawn" not in [body["type"] for body in events()]


async def test_an_open_question_can_t_be_answered_after_the_turn(asked):
    asked.apply([Done()])

    with pytest.raises(UnknownApproval):
        asked.answer("a1", "allow", "")


async def test_an_adapter_that_fails_on_an_answer_ends_the_turn(asked, conversation):
    conversation.adapter.outs["answer"] = RuntimeError("a bug")

    with pytest.raises(HarnessCrashed):
        asked.answer("a1", "allow", "")
    assert (asked.is_over, conversation.program.is_alive) == (True, False)


async def test_a_message_is_passed_on_once_and_its_outcome_journalled(asked, conversation, events):
    conversation.adapter.outs["steer"] = [Steered("s1"), NotSteered("s2")]
    for _ in range(2):
        asked.steer("s1", {"role": "user"})

    assert conversation.adapter.calls == ["steer"]
    outcome = [(event["type"], event["steerId"]) for event in events()[1:]]
    assert outcome == [("steer-taken", "s1"), ("steer-applied", "s1"), ("steer-refused", "s2")]


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda turn: None, id="before the turn has started"),
        pytest.param(lambda turn: turn.apply([Done()]), id="after its end"),
    ],
)
async def test_no_message_is_taken_outside_a_turn(turn, prepare):
    prepare(turn)

    with pytest.raises(NotSteerable):
        turn.steer("s1", {"role": "user"})


async def test_a_program_hangs_only_while_no_question_is_open(asked, conversation):
    conversation.heard_at = asked._clock() - asked.request.silent_minutes * 60 - 1
    assert not asked.is_silent

    asked.answer("a1", "allow", "")

    assert asked.is_silent


@pytest.mark.parametrize("is_starting", [True, False])
async def test_a_program_that_does_not_get_to_the_message_hangs_sooner(
    turn, conversation, is_starting
):
    turn._conversation = conversation
    conversation.adapter.is_starting = is_starting
    conversation.heard_at = turn._clock() - START_MINUTES * 60 - 1

    assert turn.is_silent is is_starting


@pytest.mark.parametrize("is_answered", [False, True])
async def test_a_question_of_ours_that_can_t_be_stored_ends_the_turn(turn, journal, is_answered):
    asking = asyncio.create_task(turn.ask_first({"questions": []}))
    await asyncio.sleep(0)
    if is_answered:
        turn._writer.flush()
    journal.append = refuse
    if is_answered:
        turn.answer("working-folder-1-1", "allow", "")
    else:
        turn._writer.flush()

    with pytest.raises(AppError) as refused:
        await asyncio.wait_for(asking, 60)
    assert refused.value.code == "journal_broken"


def refuse(*args, **kwargs):
    raise sqlite3.OperationalError("database or disk is full")


async def test_a_question_that_is_only_described_says_so(asked, events):
    chunk = {"type": "tool-approval-request", "approvalId": "a3", "toolCallId": "c3"}
    asked.apply([Ask("a3", "c3", "Add a note", {}, chunk, is_known=False)])

    assert events()[-1]["approval"]["isKnown"] is False
    assert "because" not in events()[-1]["approval"]


async def test_a_question_of_the_persons_settings_says_why(asked, events):
    chunk = {"type": "tool-approval-request", "approvalId": "a3", "toolCallId": "c3"}
    asked.apply([Ask("a3", "c3", "Bash", {}, chunk, because="A rule of yours asks.")])

    assert events()[-1]["approval"]["because"] == "A rule of yours asks."
