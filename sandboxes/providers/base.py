"""What every kind of sandbox offers to the server, and how it fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

import httpx

from links.errors import LinkOffline as LinkOffline
from mesh.lib.asgi import Receive, Scope, Send
from mesh.lib.errors import AppError

Json = dict[str, Any]
# Returns the bytes of a message's file; ``None`` for one that is gone.
ReadFile = Callable[[Json], Awaitable[bytes | None]]
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """What a sandbox's record is kept under. ``branch`` may be a conversation's key."""

    user_id: int
    org_id: UUID
    agent_id: UUID
    branch: str


@dataclass(frozen=True, slots=True)
class Place:
    """Which sandbox, and what it is made from should it not be there yet.

    ``link_id`` is the person's machine; ``None`` for a kind that needs none. ``application``
    is how the project is served (``core/workload.py``); ``title`` is for people. ``whose`` is
    for the server's records: providers have no use for it.
    """

    kind: str
    link_id: UUID | None
    handle: str
    folder: str | None = None
    repo: Json | None = None
    branch: str | None = None
    application: Json | None = None
    title: str = ""
    whose: Whose | None = None


@dataclass(frozen=True, slots=True)
class SandboxEvent:
    """Event number ``n`` of a run; ``body["type"]`` is ``done`` for the last one.

    ``size`` is how much of it came over the wire, for those who keep it in memory.
    """

    n: int
    body: Json
    size: int = field(default=0, compare=False)

    @property
    def is_last(self) -> bool:
        return self.body.get("type") == "done"


Events = AsyncIterator[SandboxEvent]
Stream = AbstractAsyncContextManager[Events]
Reply = AbstractAsyncContextManager[httpx.Response]


class SandboxDown(AppError):
    """The sandbox's process is gone. ``ensure`` starts it again; then attach after the last n."""

    code = "sandbox_down"
    text = "The sandbox is not running."
    hint = "It is started again by itself; if not, look into its log."
    status = 502


class UnknownRun(AppError):
    """The sandbox does not know the run: it was never dispatched there, or its journal is gone."""

    code = "unknown_run"
    text = "The sandbox does not know the run."
    hint = "Send the message again."
    status = 404


class DispatchRefused(AppError):
    """The sandbox, or who starts it, says no. Asking again would give the same answer."""

    status = 502

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]  # theirs, not one of the class
        self.hint = hint or "Send the message again; the link's log says more."  # type: ignore[misc]


class NotNow(DispatchRefused):
    """Refused for a reason that passes, such as a wrong clock or too many requests: ask again."""


class NotOffered(AppError):
    """This kind of sandbox can't do that at all."""

    code = "not_offered"
    text = "This kind of sandbox does not offer that."
    hint = "Use a sandbox of another kind."
    status = 501


class StreamCut(AppError):
    """The stream ended before ``done``: attach again after the last number that is kept."""

    code = "stream_truncated"
    text = "The connection to the sandbox broke."
    hint = "It is joined again by itself."
    status = 502


class UploadStalled(StreamCut):
    code = "upload_stalled"
    text = "The connection to the machine took no more of what was sent."
    hint = "It is tried again by itself; look at the machine's network if it stays so."


class NoAnswer(StreamCut):
    code = "no_answer"
    text = "The sandbox did not answer in time."
    hint = "It is asked again by itself; look whether its machine is busy if it stays so."
    status = 504


async def no_files(reference: Json) -> bytes | None:
    """Return ``None``: whoever made the provider gave it no way to read files of messages."""
    return None


class SandboxProvider(ABC):
    """One kind of sandbox, such as a folder on a person's machine or a container.

    A subclass must define the six abstract methods. Everything it raises is one of the errors of
    this module, of which only ``DispatchRefused`` is final, and not its ``NotNow``: for all
    others the caller tries again, so each method must be safe to repeat, and a run is started
    once however often it is dispatched with the same fence.

    A provider may also run the agent's loop in this very process. Then ``attach`` in a process
    that does not have the run raises ``UnknownRun``: the process that had it is lost, and the
    caller dispatches the run again, with the next fence.

    The methods behind them reach what else a sandbox has: its files, tasks, setup and
    dev server. A kind whose sandboxes are the ``deco_sandbox`` program gets most
    of them from ``speaking.SpeakingProvider``; who leaves them out answers ``not_offered``.

    It may keep connections and caches between calls, for any number of runs at once. It need
    not number events, store them, or find out whether a run is over: the sandbox does that.
    ``tests.sandboxes.providers.conformance`` holds it to all this.
    """

    # Whether ``ensure`` has a sandbox started, which is then recorded. A loop in this process
    # has none; its tools ensure one when they need it.
    has_sandboxes: ClassVar[bool] = True

    # How the files are read that messages refer to (``providers/attachments.py``).
    read_file: ReadFile = staticmethod(no_files)

    @abstractmethod
    async def ensure(self, place: Place) -> None:
        """Return when the sandbox answers; start it if need be.

        Raises:
            LinkOffline: its machine is not connected to this process.
            DispatchRefused: it can't be started.
            StreamCut: the connection broke meanwhile.
        """

    @abstractmethod
    def dispatch(
        self, place: Place, *, harness_id: str, fence: int, input: Json, after: int = 0
    ) -> Stream:
        """Start the run unless this attempt is known, and follow its events after ``after``.

        Entering the context says that the run is in the sandbox's journal. The iterator ends
        after ``done``; leaving the context early doesn't stop the run.

        Raises:
            LinkOffline, SandboxDown, DispatchRefused, StreamCut: on entering or, the last
                one, while reading.
        """

    @abstractmethod
    def attach(self, place: Place, *, run_id: str, fence: int, after: int) -> Stream:
        """Follow a run that was dispatched before; otherwise as ``dispatch``.

        Raises:
            UnknownRun: on entering; also all that ``dispatch`` raises.
        """

    @abstractmethod
    async def ack(self, place: Place, *, run_id: str, fence: int, n: int) -> None:
        """Tell the sandbox that the events up to ``n`` are kept here."""

    @abstractmethod
    async def cancel(self, place: Place, *, run_id: str) -> None:
        """Stop the run, or keep it from starting; its stream then ends with ``done``."""

    @abstractmethod
    async def answer(
        self,
        place: Place,
        *,
        run_id: str,
        fence: int,
        approval_id: str,
        decision: str,
        reason: str,
        answers: Json | None = None,
    ) -> None:
        """Give a person's ``allow`` or ``deny`` to the agent, and what they answered to it.

        It is for the attempt ``fence``, whose question ``approval_id`` names.

        Raises:
            UnknownRun: it isn't there.
            DispatchRefused: with ``unknown_approval``, it is not asked any more.
        """

    async def steer(self, place: Place, *, run_id: str, steer_id: str, message: Json) -> None:
        """Give the agent a person's message in the middle of its turn; once for each ``steer_id``.

        What becomes of it comes with the run's events: ``steer-taken`` at once, and then
        ``steer-applied`` or ``steer-refused``.

        Raises:
            UnknownRun: it isn't there.
            DispatchRefused: with ``not_steerable``, its turn is over, or this kind of
                sandbox takes nothing in the middle of one.
        """
        raise DispatchRefused("not_steerable", "Nothing is taken in the middle of a turn here.")

    def open(
        self, place: Place, method: str, path: str, *, headers: Pairs = (), body: bytes = b""
    ) -> Reply:
        """Ask the sandbox's program for ``path``, which may have a query; give its answer as
        it streams, whatever its status. ``path`` is what follows ``/_sandbox/``.

        Raises:
            LinkOffline: its machine is not connected.
            StreamCut: nothing answers there, or the connection broke. Ask again only for
                what is safe to repeat.
            BadTarget, TargetTooLong: ``path`` may not be passed on (``mesh.lib.targets``).
        """
        raise NotOffered

    async def request(
        self, place: Place, method: str, path: str, *, json: Any = None, limit: float | None = None
    ) -> httpx.Response:
        """Ask as ``open`` does, with ``json`` as body; return the whole answer.

        ``limit`` is how many seconds it may take, where the usual 15 are too few.
        """
        raise NotOffered

    async def join(
        self,
        place: Place,
        path: str,
        *,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Pairs = (),
    ) -> None:
        """Join a browser's WebSocket to ``path`` of the sandbox's program until one ends.

        Refused with 502 where it can't be reached, or with what it answers.

        Raises:
            BadTarget, TargetTooLong: before anything else, as ``open``.
        """
        raise NotOffered

    async def stop(self, place: Place, *, force: bool = False) -> None:
        """End the sandbox's process; its files stay, and ``ensure`` starts it again.

        Safe to repeat: none there is as good as ended.

        Raises:
            DispatchRefused: an agent is at work, and ``force`` was not given.
            LinkOffline, StreamCut: as ``ensure``.
        """
        raise NotOffered

    async def let_go(self, place: Place, *, run_id: str, fence: int) -> None:
        """Hear that another process has the run, or a newer attempt of it.

        For a provider whose runs live in this process: end this attempt, nobody reads it any
        more. A sandbox needs no word, it goes on, or hears of the newer attempt by itself.
        """
        return

    async def remove(self, place: Place, *, force: bool = False) -> None:
        """End the sandbox for good. On a person's machine the files stay even so; a container
        takes them along. Otherwise as ``stop``."""
        await self.stop(place, force=force)

    async def discard(self, place: Place) -> None:
        """Remove a sandbox that nobody needs any more, with its files; on a person's machine
        only what is kept elsewhere, too.

        Safe to repeat: none there is as good as removed.

        Raises:
            AppError: it can't be reached, or an agent is at work in it.
        """
        await self.remove(place)
