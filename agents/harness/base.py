"""The interface of a harness adapter, with a turn's input and outputs.

An adapter is a state machine without I/O. A runner owns the program: it starts what ``launch``
returns, passes each line of its stdout to ``feed``, and executes the outputs in order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from agents.harness.questions import Answers
from mesh.agent_programs import OwnServers
from mesh.lib.errors import AppError

Json = dict[str, Any]
# One AI SDK (v6) UI message chunk.
Chunk = dict[str, Any]

AUTO = "auto"
PLAN = "plan"
SILENT_MINUTES = 60.0  # a tool may run that long without output
START_MINUTES = 10.0  # a program may load what it needs, but has nothing to do yet
TIERS = ("fast", "smart", "thinking")


class BadInput(AppError):
    """The input of a dispatch is malformed; the sentence says where."""

    code = "bad_input"
    text = "The input of the run is not valid."
    hint = "Server and laptop may be of different versions: update both."


# A program's start, that of its session, and what some do with a message before they begin with it;
# empty once it works.
Opens = Literal["", "program", "session", "message"]


@dataclass(frozen=True, slots=True)
class GitFolders:
    """What git writes for a commit, as absolute paths. ``protected`` are those in the writable
    ones that must stay as they are: whoever uses git there next would run what they say."""

    writable: tuple[str, ...]
    protected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TurnInput:
    """One turn of a conversation, as the server dispatched it.

    ``messages`` are UI messages, the last of them the person's. ``models`` names the model
    under ``thinking.id``, such as ``claude-code:sonnet``; ``effort`` says how hard it thinks, by
    the program's own names, and is empty for its default. ``resume_session_ref`` is the
    harness's own id of the conversation so far, which ``forks_session`` leaves unchanged: a copy
    continues under an id of its own. ``earlier`` is the history, as ``role`` and ``text``, for a
    harness that no longer has that conversation; if it ``begins_afresh``, what it has must not be
    used any more, because the model refuses it. A program that is silent for ``silent_minutes``
    without an open question is considered hung. ``folder`` is the program's working folder, which
    the runner sets, not the server. ``folder_choices`` answer in advance what the person would be
    asked about that folder (``questions.FOLDER_CHOICES``). ``takes_unasked``: the server takes
    runs that a program begins by itself, so work in the background may outlive its turn. ``git``
    is what a commit in the folder writes, which the runner sets for a program with a sandbox of
    its own; ``None`` where commits are not its business. ``left_out`` names MCP servers, of the
    turn's and of the person's own settings, without which the program is to start, because they
    did not answer; the runner sets it, too.
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
    effort: str = ""
    resume_session_ref: str | None = None
    forks_session: bool = False
    branch: str | None = None
    current_thread_title: str | None = None
    earlier: tuple[Json, ...] = ()
    begins_afresh: bool = False
    silent_minutes: float = SILENT_MINUTES
    folder: str = "."
    folder_choices: tuple[str, ...] = ()
    takes_unasked: bool = False
    git: GitFolders | None = None
    left_out: tuple[str, ...] = ()

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
        """The model id without its harness prefix: ``sonnet`` of ``claude-code:sonnet``.

        Empty if no model is named, or only a tier: then the program's own default applies.
        """
        thinking = self.models.get("thinking")
        model_id = thinking.get("id") if isinstance(thinking, dict) else None
        model = model_id.split(":", 1)[-1] if isinstance(model_id, str) else ""
        return "" if model in TIERS else model

    @property
    def instructions(self) -> str:
        """The agent's instructions besides the message."""
        for source in (self.agent, self.virtual_mcp):
            value = source.get("instructions") if isinstance(source, dict) else None
            if isinstance(value, str) and value.strip():
                return value.strip()
        return ""


def parts_of(message: Json) -> list[Json]:
    """Return the parts of a UI message that are objects; empty without parts."""
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
        BadInput: something required is missing, or has the wrong type.
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
    # Every turn has one (S32), but no agent program accepts it: Decopilot reads its run's row.
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
        effort=read.maybe_text("effort") or "",
        resume_session_ref=read.maybe_text("resumeSessionRef") or None,
        forks_session=read.values.get("forkSession") is True,
        branch=read.maybe_text("branch"),
        current_thread_title=read.maybe_text("currentThreadTitle"),
        earlier=read.objects("earlier") if "earlier" in read.values else (),
        begins_afresh=read.values.get("beginsAfresh") is True,
        silent_minutes=read.positive("silentMinutes", SILENT_MINUTES),
        folder_choices=read.texts("folderChoices"),
        takes_unasked=read.values.get("takesUnasked") is True,
    )


def _check_models(models: Json) -> None:
    # An organization's model may have no provider: null there counts as absent.
    if (thinking := _Reader(models, "models").maybe_object("thinking")) is not None:
        read = _Reader(thinking, "models.thinking")
        read.text("id")
        read.maybe_text("provider")


def _tier(tier: str | None, models: Json) -> str:
    """Return the tier: ``tier``, else that of the model list, else ``smart``."""
    named = tier or models.get("tier")
    return named if named in TIERS else "smart"


class _Reader:
    """Reads typed values from a JSON object, and names the one that is wrong."""

    def __init__(self, value: object, name: str) -> None:
        if not isinstance(value, dict):
            raise BadInput(f"{name} must be an object.", detail=name)
        self.values: Json = value
        self.name = name

    def _refuse(self, key: str, expected: str) -> BadInput:
        path = f"{self.name}.{key}"
        return BadInput(f"{path} must be {expected}.", detail=path)

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

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._refuse(key, "a list of texts, null or absent")
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
    would execute on its own before asking anybody: if one exists, it must not be started.
    ``variables`` are those of the person's that it may see besides what Mesh knows of it.
    ``own_servers`` says where the MCP servers stand for which it waits, if it can do without.
    """

    program: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    refuses: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    own_servers: OwnServers | None = None


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
    """Emit ``chunk``, a tool-approval-request, with the facts for its row.

    ``is_known``: ``tool`` and ``input`` say what would run. Otherwise they only describe it, such
    as a title, and two different calls may look the same: then no answer may apply to another.
    ``because`` says what in the person's own settings asks: then no level and no rule answers.
    """

    approval_id: str
    tool_call_id: str
    tool: str
    input: Any
    chunk: Chunk
    is_known: bool = True
    because: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """The program has received the answer; ``decision`` is ``allow`` or ``deny``."""

    approval_id: str
    decision: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The program has taken a question back before it had an answer; none reaches it any more."""

    approval_id: str


@dataclass(frozen=True, slots=True)
class Steered:
    """The program has received the message that was sent in the middle of its turn."""

    steer_id: str


@dataclass(frozen=True, slots=True)
class NotSteered:
    """The program did not accept the message, which gets a turn of its own."""

    steer_id: str


@dataclass(frozen=True, slots=True)
class Fail:
    """The turn failed: ``code`` for programs, ``message`` for people. ``Done`` follows."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Done:
    """The turn has ended; the program may stay alive for the next one."""


@dataclass(frozen=True, slots=True)
class Again:
    """Restart: end the program, start what ``launch(turn)`` returns, and ``begin(turn)`` again.

    For a failed start, such as resuming a conversation that the program no longer has. It comes
    instead of ``Done``, at most once a turn; the adapter stays the same, and the emitted chunks
    remain valid.
    """

    turn: TurnInput


@dataclass(frozen=True, slots=True)
class BackgroundTask:
    """Something that the program does beside its turns; ``title`` is for people."""

    id: str
    title: str
    kind: Literal["command", "agent"] = "command"


@dataclass(frozen=True, slots=True)
class Background:
    """All that runs in the background now, in a turn or outside; sent whenever it changes."""

    tasks: tuple[BackgroundTask, ...] = ()


@dataclass(frozen=True, slots=True)
class Unasked:
    """Outside of a turn: the program has begun one by itself, for a ``reason`` in words.

    The adapter keeps what the program says until ``begin_unasked``. It may directly follow
    ``Done``.
    """

    reason: str


Out = (
    Write
    | Emit
    | Ask
    | Applied
    | Withdrawn
    | Steered
    | NotSteered
    | Fail
    | Done
    | Again
    | Background
    | Unasked
)


class Adapter(Protocol):
    """Speaks to one program on behalf of one conversation.

    A turn lasts from ``begin`` to the first ``Done``. For any lines, and any end of the program,
    the chunks of a turn are a complete message: one ``start``, every part closed, one ``finish``.
    After ``Done`` nothing is emitted until the next ``begin`` or ``begin_unasked``.
    """

    kind: str

    @property
    def is_starting(self) -> bool:
        """Whether the program has not got the turn's message yet, so that nothing can take long."""
        ...

    @property
    def opens(self) -> Opens:
        """What the program is at before it works on the message: then it starts MCP servers."""
        ...

    def tell_waiting(self, servers: Sequence[str]) -> list[Out]:
        """Tell the person for which MCP servers of their own settings it probably waits.

        The adapter tells when it is over.
        """
        ...

    def leave_out(self, servers: Sequence[str]) -> list[Out]:
        """Give up waiting for these, and start the program again without them."""
        ...

    def launch(self, turn: TurnInput) -> Launch:
        """Return the program for a conversation that continues with ``turn``."""
        ...

    def key(self, turn: TurnInput) -> str:
        """Return the key of a program's fixed settings; a turn with another key needs a new one."""
        ...

    def begin(self, turn: TurnInput) -> list[Out]:
        """Start a turn, the first or a later one on a living program."""
        ...

    def begin_unasked(self, turn: TurnInput) -> list[Out]:
        """Start the turn that the program has begun by itself, after ``Unasked``.

        ``turn`` is the settings of the turn before, with a run id of its own and no messages.
        """
        ...

    def stop_task(self, task_id: str) -> list[Out]:
        """Ask the program to end what runs in the background; no outputs if it can't."""
        ...

    def feed(self, line: bytes) -> list[Out]:
        """Take one line of stdout, without its line feed."""
        ...

    def answer(
        self, approval_id: str, decision: str, reason: str, answers: Answers | None = None
    ) -> list[Out]:
        """Pass on a person's ``allow`` or ``deny``; no outputs if no such question is open.

        ``answers`` accompany the ``allow`` of a tool that asks the person a question, see
        ``questions``.
        """
        ...

    def steer(self, steer_id: str, message: Json) -> list[Out]:
        """Pass on a person's message in the middle of the turn.

        ``Steered`` follows if the program has received it, ``NotSteered`` if it does not accept
        it; one of them before ``Done``, unless the program dies.
        """
        ...

    def interrupt(self) -> list[Out]:
        """Ask the program politely to stop; the runner follows with signals."""
        ...

    def ended(self, code: int | None, stderr: str) -> list[Out]:
        """The program has exited: close what is open and, in a turn, report the failure."""
        ...
