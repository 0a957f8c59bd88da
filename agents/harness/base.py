"""What every harness adapter is: one turn's input, the outputs, and the interface.

An adapter is a state machine without I/O. A runner owns the program: it starts what ``launch``
says, hands each line of its stdout to ``feed``, and carries out the outputs in their order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agents.harness.questions import Answers
from mesh.lib.errors import AppError

Json = dict[str, Any]
# One AI SDK (v6) UI message chunk.
Chunk = dict[str, Any]

AUTO = "auto"
PLAN = "plan"
SILENT_MINUTES = 60.0  # as long as a tool may take without a word
TIERS = ("fast", "smart", "thinking")


class BadInput(AppError):
    """The input of a dispatch has not the shape it must have; the sentence says where."""

    code = "bad_input"
    text = "The input of the run is not valid."
    hint = "Server and laptop may be of different versions: update both."


@dataclass(frozen=True, slots=True)
class TurnInput:
    """One turn of a conversation, as the server dispatched it.

    ``messages`` are UI messages, the last of them the person's. ``models`` names the model
    under ``thinking.id``, such as ``claude-code:sonnet``. ``resume_session_ref`` is the
    harness's own name of the conversation so far, which ``forks_session`` leaves as it is: a
    copy goes on under a name of its own. ``earlier`` is what was said before, as ``role`` and
    ``text``, for a harness that no longer has that conversation. Who has said nothing for
    ``silent_minutes``, asking nobody, hangs. ``folder`` is where the program works: not the
    server but the runner knows it.
    """

    thread_id: str
    run_id: str
    messages: tuple[Json, ...]
    models: Json
    mode: str
    approval_level: str
    user: Json
    organization_id: str
    agent: Json
    mcp: Json | None = None
    virtual_mcp: Any = None
    tier: str = "smart"
    resume_session_ref: str | None = None
    forks_session: bool = False
    branch: str | None = None
    current_thread_title: str | None = None
    earlier: tuple[Json, ...] = ()
    silent_minutes: float = SILENT_MINUTES
    folder: str = "."

    @property
    def last_message(self) -> Json:
        """The person's newest message; empty when there is none."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return message
        return {}

    @property
    def prompt(self) -> str:
        """The text of the newest message, its parts joined by line feeds."""
        return words_of(self.last_message)

    @property
    def model(self) -> str:
        """The model id without the harness in front: ``sonnet`` of ``claude-code:sonnet``.

        Empty when none is named, or only a tier: then the program's own default counts.
        """
        thinking = self.models.get("thinking")
        model_id = thinking.get("id") if isinstance(thinking, dict) else None
        model = model_id.split(":", 1)[-1] if isinstance(model_id, str) else ""
        return "" if model in TIERS else model

    @property
    def instructions(self) -> str:
        """What the agent is told besides the message."""
        for source in (self.agent, self.virtual_mcp):
            value = source.get("instructions") if isinstance(source, dict) else None
            if isinstance(value, str) and value.strip():
                return value.strip()
        return ""


def parts_of(message: Json) -> list[Json]:
    """Return the parts of a UI message that are objects; none when there are no parts."""
    parts = message.get("parts")
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def words_of(message: Json) -> str:
    """Return the text of a UI message, its parts joined by line feeds."""
    return "\n".join(
        part["text"]
        for part in parts_of(message)
        if part.get("type") == "text" and isinstance(part.get("text"), str)
    )


def parse_input(value: object) -> TurnInput:
    """Return the turn that ``value``, parsed JSON, describes; unknown keys are dropped.

    Raises:
        BadInput: something required is missing, or is of another type.
    """
    read = _Reader(value, "input")
    user, agent = read.object("user"), read.object("agent")
    _Reader(user, "user").text("id")
    _Reader(agent, "agent").text("id")
    models = read.object("models")
    _check_models(models)
    thread_id = read.text("threadId")
    if read.text("taskId") != thread_id:
        raise BadInput("input.taskId must be the thread's id")
    # Every turn has one (S32), but no agent program takes it: Decopilot reads its run's row.
    read.number("temperature")
    return TurnInput(
        thread_id=thread_id,
        run_id=read.text("runId"),
        messages=read.objects("messages"),
        models=models,
        mode=read.text("mode"),
        approval_level=read.text("toolApprovalLevel"),
        user=user,
        organization_id=read.text("organizationId"),
        agent=agent,
        mcp=read.maybe_object("mcp"),
        virtual_mcp=read.values.get("virtualMcp"),
        tier=_tier(read.maybe_text("tier"), models),
        resume_session_ref=read.maybe_text("resumeSessionRef") or None,
        forks_session=read.values.get("forkSession") is True,
        branch=read.maybe_text("branch"),
        current_thread_title=read.maybe_text("currentThreadTitle"),
        earlier=read.objects("earlier") if "earlier" in read.values else (),
        silent_minutes=read.positive("silentMinutes", SILENT_MINUTES),
    )


def _check_models(models: Json) -> None:
    # An org model may have no provider: null there is as good as absent.
    if (thinking := _Reader(models, "models").maybe_object("thinking")) is not None:
        read = _Reader(thinking, "models.thinking")
        read.text("id")
        read.maybe_text("provider")


def _tier(given: str | None, models: Json) -> str:
    """Return the tier: as given, else as the model list names it, else ``smart``."""
    named = given or models.get("tier")
    return named if named in TIERS else "smart"


class _Reader:
    """Takes typed values out of a JSON object, and says which one is wrong."""

    def __init__(self, value: object, name: str) -> None:
        if not isinstance(value, dict):
            raise BadInput(f"{name} must be an object.", detail=name)
        self.values: Json = value
        self.name = name

    def _refuse(self, key: str, wanted: str) -> BadInput:
        path = f"{self.name}.{key}"
        return BadInput(f"{path} must be {wanted}.", detail=path)

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str) or not value:
            raise self._refuse(key, "a text that is not empty")
        return value

    def maybe_text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self._refuse(key, "a text, null or absent")
        return value

    def number(self, key: str) -> float:
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise self._refuse(key, "a number")
        return float(value)

    def positive(self, key: str, otherwise: float) -> float:
        if self.values.get(key) is None:
            return otherwise
        if (value := self.number(key)) <= 0:
            raise self._refuse(key, "more than 0")
        return value

    def object(self, key: str) -> Json:
        value = self.values.get(key)
        if not isinstance(value, dict):
            raise self._refuse(key, "an object")
        return value

    def maybe_object(self, key: str) -> Json | None:
        return None if self.values.get(key) is None else self.object(key)

    def objects(self, key: str) -> tuple[Json, ...]:
        value = self.values.get(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._refuse(key, "a list of objects")
        return tuple(value)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of a thousand digits is valid JSON
        return False


@dataclass(frozen=True, slots=True)
class Launch:
    """The program to start: a name the runner knows or finds on PATH, never a shell line.

    ``refuses`` are patterns of paths in the working folder, or in one above it, which the program
    would run by itself, before it asks anybody: where one is there, it must not be started.
    """

    program: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    refuses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """Write ``line`` and a line feed to the program's stdin."""

    line: bytes


@dataclass(frozen=True, slots=True)
class Emit:
    """Put ``chunk`` into the journal."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Ask:
    """Emit ``chunk``, a tool-approval-request, with what its row needs to know."""

    approval_id: str
    tool_call_id: str
    tool: str
    input: Any
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Applied:
    """The program has been given the answer; ``decision`` is ``allow`` or ``deny``."""

    approval_id: str
    decision: str


@dataclass(frozen=True, slots=True)
class Steered:
    """The program has the message that was given to it in the middle of its turn."""

    steer_id: str


@dataclass(frozen=True, slots=True)
class NotSteered:
    """The program did not take the message, which goes out in its own turn."""

    steer_id: str


@dataclass(frozen=True, slots=True)
class Fail:
    """The turn failed: ``code`` for programs, ``message`` for people. ``Done`` follows."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Done:
    """The turn is over; the program may live on for the next one."""


@dataclass(frozen=True, slots=True)
class Again:
    """Not over: end the program, start what ``launch(turn)`` says, and ``begin(turn)`` once more.

    For a start that could not work as tried, such as resuming a conversation that the
    program no longer knows. It comes instead of ``Done``, at most once a turn; the same adapter
    goes on, and what was emitted stays.
    """

    turn: TurnInput


Out = Write | Emit | Ask | Applied | Steered | NotSteered | Fail | Done | Again


class Adapter(Protocol):
    """Speaks to one program on behalf of one conversation.

    A turn goes from ``begin`` to the first ``Done``. Whatever is fed, and whenever the program
    ends, the chunks of a turn are a whole message: one ``start``, every part closed, one
    ``finish``. After ``Done`` nothing is emitted until the next ``begin``.
    """

    kind: str

    def launch(self, turn: TurnInput) -> Launch:
        """Return the program for a conversation that goes on with ``turn``."""
        ...

    def key(self, turn: TurnInput) -> str:
        """Return what a living program was started with; another key needs another program."""
        ...

    def begin(self, turn: TurnInput) -> list[Out]:
        """Start a turn, the first or a later one on a living program."""
        ...

    def feed(self, line: bytes) -> list[Out]:
        """Take one line of stdout, without its line feed."""
        ...

    def answer(
        self, approval_id: str, decision: str, reason: str, answers: Answers | None = None
    ) -> list[Out]:
        """Pass on a person's ``allow`` or ``deny``; nothing when no such question is open.

        ``answers`` come with the ``allow`` of a tool that asks the person something, see
        ``questions``.
        """
        ...

    def steer(self, steer_id: str, message: Json) -> list[Out]:
        """Pass on a message of the person's in the middle of the turn.

        ``Steered`` follows when the program has it, ``NotSteered`` when it does not take it;
        one of them before ``Done``, unless the program dies.
        """
        ...

    def interrupt(self) -> list[Out]:
        """Ask the program politely to stop; the runner follows with signals."""
        ...

    def ended(self, code: int | None, stderr: str) -> list[Out]:
        """The program is gone: close what is open and, in a turn, say how it failed."""
        ...
