"""The effect of a run's events on the run: the whole decision, without a database.

Events are numbered by their producer (``n`` from 1, within run and fence). The decision
says which chunks enter the journal, how the run's state changes and what else is stored;
``threads.journal.writer`` applies it in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol

from agents.harness.questions import WORKING_FOLDER
from threads.core.background import read_tasks
from threads.core.rules import Policy, Rule
from threads.run import state as run_state
from threads.run.state import Move

Chunk = Mapping[str, Any]

JOINABLE: Final = {
    "text-delta": ("id", "delta"),
    "reasoning-delta": ("id", "delta"),
    "tool-input-delta": ("toolCallId", "inputTextDelta"),
}
JOIN_LIMIT: Final = 64 * 1024  # characters of one joined delta: a row stays small
HOLD_LIMIT: Final = 64  # events between ``finish`` and ``done``

TRUNCATED: Final = ("stream_truncated", "The connection to the agent broke.")
DIED: Final = "sandbox_died"  # a sandbox reports it for the runs of its predecessor
RESUMPTIONS: Final = 3  # per run, whose prompt may be what kills its sandbox
STEER: Final = "data-steer"  # a person's message in the middle of an answer
# The code of a run whose agent continued after somebody other than the server had answered it.
ANSWERED_ELSEWHERE: Final = "answered_elsewhere"
# Chunks that only the server may write: an agent that sends one is forging it. Unknown kinds
# from a newer sandbox pass, because readers ignore kinds they do not know.
OURS: Final = frozenset(
    {
        *("data-approval", "data-carried-out", "data-queue", "data-rules", "data-run-restarted"),
        *("data-run-status", STEER, "data-steering", "data-user-message"),
    }
)
# Stored as the error code of a run whose agent aborted on its own.
ABORTED: Final = "aborted"


class Gap(Exception):
    """An event is missing: the producer sent a number that is not the next one."""


class Numbered(Protocol):
    """An event as the sandbox sent it."""

    @property
    def n(self) -> int: ...

    @property
    def body(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Question:
    """A question whose answer the agent does not have yet: the ``call`` of the ``tool`` that it is
    about, and the server's ``decision``; empty while nobody has answered."""

    call: str = ""
    decision: str = ""
    tool: str = ""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run before the events. ``waits_for``: its open questions by id; ``policy``: which questions
    are answered without a person. ``resumptions``: how often its agent was told to continue after
    its sandbox had died; ``can_resume``: its conversation outlives the sandbox's process, and
    ``has_session``: the conversation has an id."""

    state: str
    last_n: int
    is_stopping: bool = False
    error_code: str = ""
    error_text: str = ""
    waits_for: Mapping[str, Question] = field(default_factory=dict)
    policy: Policy = Policy()
    resumptions: int = 0
    can_resume: bool = False
    has_session: bool = False


BECAUSE_LIMIT: Final = 500  # characters of the reason why the person's settings ask


@dataclass(frozen=True, slots=True)
class Asked:
    """A tool's question, for its row. ``answered_by``: what has already answered it, if any.

    ``is_known``: tool and input say what would run; otherwise they only describe it. ``because``:
    what in the person's own settings asks.
    """

    approval_id: str
    tool_call_id: str
    tool: str
    input: Any
    is_known: bool = True
    because: str = ""
    answered_by: Rule | Literal["level", "earlier"] | None = None


@dataclass(frozen=True, slots=True)
class Background:
    """What runs beside the turns of the run's thread now. ``has_unclaimed``: its sandbox has turns
    that the agent's program began by itself, and that the server has not stored."""

    tasks: tuple[dict[str, Any], ...] = ()
    has_unclaimed: bool = False


@dataclass(slots=True)
class Decision:
    """What to write. ``chunks`` pairs each chunk with its number, ``None`` for our own.

    ``move`` is the run's change of state; ``finish`` the agent's own last chunk, which enters
    the journal after everything else.
    """

    last_n: int
    move: Move
    chunks: list[tuple[Chunk, int | None]] = field(default_factory=list)
    session_ref: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    options: Any = None  # what the agent's program offers, if it said so
    asked: list[Asked] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)  # questions that the agent took back
    # Messages sent in the middle of the turn: ids of their steers, by outcome.
    taken: list[str] = field(default_factory=list)
    steered: list[str] = field(default_factory=list)
    not_steered: list[str] = field(default_factory=list)
    finish: tuple[Chunk, int] | None = None
    background: Background | None = None


def resumed_id(approval_id: str, resumptions: int) -> str:
    """Return the stored id of a question that the agent asks after so many resumptions."""
    return f"{resumptions}:{approval_id}" if resumptions else approval_id


def hold_from(events: Sequence[Numbered]) -> int:
    """Return how many of ``events`` may be decided on now.

    The last chunk waits for the events that follow it, so that a reader who sees ``finish`` also
    finds the answer stored and the run ended: they are committed in one transaction.
    """
    tail = len(events)
    for index in range(len(events) - 1, max(-1, len(events) - HOLD_LIMIT), -1):
        body = events[index].body
        if body.get("type") == "done":
            return len(events)
        if _kind(body) == "finish":
            tail = index
    return tail


def decide(run: RunFacts, events: Sequence[Numbered], *, status: Any) -> Decision:
    """Return the effect of ``events`` on ``run``; those it has already seen have none.

    ``status(state)`` makes the chunk that notifies readers of a change of state.

    Raises:
        Gap: a number is missing; nothing of the batch may be kept.
    """
    before = Move(state=run.state, code=run.error_code, text=run.error_text)
    decision = Decision(last_n=run.last_n, move=before)
    turn = _Turn(decision, run, status)
    for event in events:
        if event.n <= decision.last_n:
            continue
        if event.n != decision.last_n + 1:
            raise Gap(f"{event.n} after {decision.last_n}")
        decision.last_n = event.n
        if turn.is_open:
            turn.take(event, is_stopping=run.is_stopping)
    return decision


def _kind(body: Mapping[str, Any]) -> str:
    chunk = body.get("chunk")
    return str(chunk.get("type", "")) if isinstance(chunk, Mapping) else ""


class _Turn:
    """One pass over the events; writes into the decision."""

    def __init__(self, decision: Decision, run: RunFacts, status: Any) -> None:
        self.decision, self.status = decision, status
        self.is_open = not decision.move.ends  # later events are only counted
        self.waits_for, self.policy = dict(run.waits_for), run.policy
        self.resumptions, self.has_session = run.resumptions, run.has_session
        self.may_resume = run.can_resume and run.resumptions < RESUMPTIONS and not run.is_stopping

    def take(self, event: Numbered, *, is_stopping: bool) -> None:
        body, decision = event.body, self.decision
        match body.get("type"):
            case "ui-message-chunk" if isinstance(body.get("chunk"), Mapping):
                self.chunk(event, body["chunk"])
                if not is_stopping:
                    self.check_call(body["chunk"])
            case "approval-applied":
                self.applied(event, is_stopping=is_stopping)
            case "approval-withdrawn":
                self.withdrawn(self.stored_id(str(body.get("approvalId"))[:90]))
            case "steer-taken":
                decision.taken.append(str(body.get("steerId")))
            case "steer-applied":
                steer_id = str(body.get("steerId"))
                decision.steered.append(steer_id)
                # Its position in the answer; the writer adds the text.
                decision.chunks.append(({"type": STEER, "id": steer_id}, event.n))
            case "steer-refused":
                decision.not_steered.append(str(body.get("steerId")))
            case "background":
                has_unclaimed = body.get("hasUnclaimed") is True
                decision.background = Background(read_tasks(body.get("tasks")), has_unclaimed)
            case "error":
                code = str(body.get("code") or "harness_crashed")[:60]
                self.change_move(code=code, text=str(body.get("message") or ""))
            case "done":
                self.done(is_stopping=is_stopping)
            case _:
                pass  # a newer sandbox may say more than we know

    def chunk(self, event: Numbered, chunk: Chunk) -> None:
        decision = self.decision
        kind = chunk.get("type")
        if not isinstance(kind, str) or kind in OURS:
            return  # not a chunk, or a forged one
        if kind in ("error", "finish") and self.resumes():
            return  # the dead sandbox's last chunk; the run continues
        if kind == "finish":
            self.keep_metadata(chunk)
            decision.finish = (chunk, event.n)
            return
        if decision.move.state == run_state.DISPATCHED:
            self.change_state(run_state.RUNNING)
        if kind in JOINABLE and self.join(chunk, event.n):
            return
        if kind == "tool-approval-request" and self.resumptions:
            chunk = {**chunk, "approvalId": self.stored_id(str(chunk.get("approvalId"))[:90])}
        decision.chunks.append((chunk, event.n))
        if kind == "tool-approval-request":
            self.ask(event.body, chunk)
        elif kind == "abort":
            self.change_move(code=decision.move.code or ABORTED)
        elif kind == "data-thread-title":
            data = chunk.get("data")
            title = data.get("title") if isinstance(data, Mapping) else ""
            decision.title = str(title or "")[:200]
        elif kind == "data-agent-options":
            decision.options = chunk.get("data")
        elif "messageMetadata" in chunk:
            self.keep_metadata(chunk)

    def join(self, chunk: Chunk, n: int) -> bool:
        """Append a delta to the one before it if both belong together; return whether it did."""
        chunks = self.decision.chunks
        if not chunks or chunks[-1][1] is None or chunks[-1][0].keys() != chunk.keys():
            return False
        before = chunks[-1][0]
        part, text = JOINABLE[chunk["type"]]
        if chunk.keys() != {"type", part, text}:
            return False
        if (before["type"], before[part]) != (chunk["type"], chunk[part]):
            return False
        joined = f"{before[text]}{chunk[text]}"
        if len(joined) > JOIN_LIMIT:
            return False
        chunks[-1] = ({"type": chunk["type"], part: chunk[part], text: joined}, n)
        return True

    def ask(self, body: Mapping[str, Any], chunk: Chunk) -> None:
        approval = body.get("approval")
        facts = approval if isinstance(approval, Mapping) else {}
        name = str(facts.get("tool", ""))
        tool = name[:200]
        is_known = facts.get("isKnown") is not False and tool == name  # a cut name names others too
        value = facts.get("input") or {}  # a tool without parameters
        because = str(facts.get("because") or "")[:BECAUSE_LIMIT]
        is_forced = bool(because)
        asked = Asked(
            approval_id=str(chunk.get("approvalId"))[:100],
            tool_call_id=str(chunk.get("toolCallId"))[:100],
            tool=tool,
            input=value,
            is_known=is_known,
            because=because,
            answered_by=self.policy.answers(tool, value, is_known=is_known, is_forced=is_forced),
        )
        self.decision.asked.append(asked)
        for settled in (self.decision.applied, self.decision.withdrawn):
            # What was said before the question is not about it.
            settled[:] = [each for each in settled if each != asked.approval_id]
        if asked.answered_by is not None:
            return
        self.waits_for[asked.approval_id] = Question(call=asked.tool_call_id, tool=asked.tool)
        if self.decision.move.state != run_state.WAITING:
            self.change_state(run_state.WAITING)

    def applied(self, event: Numbered, *, is_stopping: bool) -> None:
        approval_id = self.stored_id(str(event.body.get("approvalId")))
        question = self.waits_for.get(approval_id)
        if question is not None and not is_stopping:
            reported = event.body.get("decision", question.decision)
            if not question.decision or reported != question.decision:
                self.fail_unanswered()
                return
        self.decision.applied.append(approval_id)
        self.settle(approval_id)

    def withdrawn(self, approval_id: str) -> None:
        if approval_id not in self.decision.applied:
            self.decision.withdrawn.append(approval_id)
            self.settle(approval_id)

    def settle(self, approval_id: str) -> None:
        """The agent waits for the question no longer."""
        self.waits_for.pop(approval_id, None)
        if self.decision.move.state == run_state.WAITING and not self.waits_for:
            self.change_state(run_state.RUNNING)

    def check_call(self, chunk: Chunk) -> None:
        """Stop an agent that made a call whose question nobody has answered."""
        if chunk.get("type") != "tool-output-available" or not self.is_open:
            return
        call = str(chunk.get("toolCallId"))[:100]
        if any(each.call == call and not each.decision for each in self.waits_for.values()):
            self.fail_unanswered()

    def fail_unanswered(self) -> None:
        """Fail the run: its agent acted on an answer that is not the server's.

        A sandbox accepts only the server's. This one is an older version, or somebody on that
        machine has tampered with it.
        """
        self.decision.move = Move(state=run_state.FAILED, code=ANSWERED_ELSEWHERE)
        self.is_open = False
        self.decision.finish = None

    def resumes(self) -> bool:
        """Return whether the sandbox died while a person was being asked: nothing else was in
        progress, so the agent may be told to continue; or it has not even had the message."""
        move = self.decision.move
        is_lost = (move.code, move.state) == (DIED, run_state.WAITING)
        has_session = self.has_session or bool(self.decision.session_ref)
        is_before = all(each.tool == WORKING_FOLDER for each in self.waits_for.values())
        can_continue = bool(self.waits_for) and (has_session or is_before)
        return is_lost and self.may_resume and can_continue

    def stored_id(self, approval_id: str) -> str:
        """Return the id under which a question is stored: a resumed agent may number its
        questions from the first again, and an answer must never reach another question."""
        return resumed_id(approval_id, self.resumptions)

    def change_move(self, **changes: Any) -> None:
        self.decision.move = replace(self.decision.move, **changes)

    def change_state(self, state: str) -> None:
        """Go to ``state`` and notify readers."""
        self.change_move(state=state)
        self.decision.chunks.append((self.status(state), None))

    def keep_metadata(self, chunk: Chunk) -> None:
        metadata = chunk.get("messageMetadata")
        if not isinstance(metadata, Mapping):
            return
        if isinstance(ref := metadata.get("codingAgentSessionId"), str):
            self.decision.session_ref = ref[:200]
        for name in ("usage", "costUsd"):
            if name in metadata:
                self.decision.usage[name] = metadata[name]

    def done(self, *, is_stopping: bool) -> None:
        self.is_open = False
        if self.resumes():
            self.change_move(state=run_state.DISPATCHED, begins_anew=True)
        else:
            state, code, text = self.ending(is_stopping=is_stopping)
            self.decision.move = Move(state=state, code=code, text=text, is_told=True)

    def ending(self, *, is_stopping: bool) -> tuple[str, str, str]:
        """Return the final state of a run whose events are complete, the code and the sentence."""
        move, finish = self.decision.move, self.decision.finish
        if is_stopping or move.code == ABORTED:
            return run_state.CANCELLED, "", ""
        if move.code:
            return run_state.FAILED, move.code, move.text
        if finish is None:
            return run_state.FAILED, *TRUNCATED
        if finish[0].get("finishReason") == "error":
            return run_state.FAILED, "harness_crashed", ""
        return run_state.COMPLETED, "", ""
