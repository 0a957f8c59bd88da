"""The interface of every kind of sandbox, and its errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

import httpx

from links.errors import LinkOffline as LinkOffline
from links.upload import Body
from mesh.lib.asgi import Receive, Scope, Send
from mesh.lib.errors import AppError

Json = dict[str, Any]
# Returns the bytes of a message's file; ``None`` if it was deleted.
ReadFile = Callable[[Json], Awaitable[bytes | None]]
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordKey:
    """The key of a sandbox's record. ``branch`` may be a conversation's key."""

    user_id: int
    org_id: UUID
    agent_id: UUID
    branch: str


@dataclass(frozen=True, slots=True)
class Place:
    """Identifies a sandbox, and says how to make it if it does not exist.

    ``link_id`` is the person's machine; ``None`` for a kind that needs none. ``application``
    is how the project is served (``core/workload.py``); ``title`` is for people. ``record_key``
    is for the server's records; providers ignore it.
    """

    kind: str
    link_id: UUID | None
    handle: str
    folder: str | None = None
    repo: Json | None = None
    branch: str | None = None
    application: Json | None = None
    title: str = ""
    record_key: RecordKey | None = None


@dataclass(frozen=True, slots=True)
class SandboxEvent:
    """Event number ``n`` of a run; ``body["type"]`` is ``done`` for the last one.

    ``size`` is its length on the wire, for callers that hold it in memory.
    """

    n: int
    body: Json
    size: int = field(default=0, compare=False)

    @property
    def is_last(self) -> bool:
        return self.body.get("type") == "done"


Events = AsyncIterator[SandboxEvent]
Stream = AbstractAsyncContextManager[Events]
States = AbstractAsyncContextManager[AsyncIterator[Json]]
Reply = AbstractAsyncContextManager[httpx.Response]


class SandboxDown(AppError):
    """The sandbox's process is gone. Call ``ensure``, then attach after the last stored number."""

    code = "sandbox_down"
    text = "The sandbox is not running."
    hint = "It is restarted automatically; if it stays down, check its log."
    status = 502


class SandboxRemoved(SandboxDown):
    """The sandbox has been removed with its journal; ``ensure`` would make a new one."""


class UnknownRun(AppError):
    """The sandbox does not know the run: it was never dispatched there, or its journal is gone."""

    code = "unknown_run"
    text = "The sandbox does not know the run."
    hint = "Send the message again."
    status = 404


class DispatchRefused(AppError):
    """The sandbox, or the program that starts it, refuses. A retry would be refused as well."""

    status = 502

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]  # the sandbox's own, not one of the class
        self.hint = hint or "Send the message again; see the link's log for details."  # type: ignore[misc]


class NotNow(DispatchRefused):
    """Refused for a temporary reason, such as a wrong clock or too many requests: retry."""


class NotOffered(AppError):
    """This kind of sandbox does not support that."""

    code = "not_offered"
    text = "This kind of sandbox does not offer that."
    hint = "Use a sandbox of another kind."
    status = 501


class StreamCut(AppError):
    """The stream ended before ``done``: attach again after the last stored number."""

    code = "stream_truncated"
    text = "The connection to the sandbox broke."
    hint = "Mesh reconnects automatically."
    status = 502


class UploadStalled(StreamCut):
    code = "upload_stalled"
    text = "The connection to the machine stopped accepting data."
    hint = "Mesh retries automatically; check the machine's network if this continues."


class NoAnswer(StreamCut):
    code = "no_answer"
    text = "The sandbox did not answer in time."
    hint = "Mesh retries automatically; check whether its machine is busy if this continues."
    status = 504


async def no_files(reference: Json) -> bytes | None:
    """Return ``None``; the default of a provider that can't read files of messages."""
    return None


class SandboxProvider(ABC):
    """One kind of sandbox, such as a folder on a person's machine or a container.

    A subclass must define the six abstract methods. It raises only the errors of this module. Only
    ``DispatchRefused`` is final (and not its ``NotNow``): after all others the caller retries, so
    each method must be safe to repeat, and a run starts only once however often it is dispatched
    with the same fence.

    A provider may also run the agent's loop in the server process. Then ``attach`` in a process
    that does not have the run raises ``UnknownRun``: the process that had it is lost, and the
    caller dispatches the run again, with the next fence.

    The other methods give access to a sandbox's files, tasks, setup and dev server. A kind whose
    sandboxes are the ``deco_sandbox`` program gets most of them from
    ``sandbox_client.HttpProvider``; without them, a provider raises ``NotOffered``.

    It may keep connections and caches between calls, for any number of concurrent runs. It need
    not number events, store them, or find out whether a run has ended: the sandbox does that.
    ``tests.sandboxes.providers.conformance`` checks all of this.
    """

    # Whether ``ensure`` starts a sandbox, which is then recorded. A loop in the server process has
    # none; its tools ensure one when they need it.
    has_sandboxes: ClassVar[bool] = True

    # Reads the files that messages refer to (``providers/attachments.py``).
    read_file: ReadFile = staticmethod(no_files)

    @abstractmethod
    async def ensure(self, place: Place) -> None:
        """Return once the sandbox answers; start it if necessary.

        Raises:
            LinkOffline: its machine is not connected to this process.
            DispatchRefused: it can't be started.
            StreamCut: the connection broke.
        """

    @abstractmethod
    def dispatch(
        self, place: Place, *, harness_id: str, fence: int, input: Json, after: int = 0
    ) -> Stream:
        """Start the run unless this attempt is known, and follow its events after ``after``.

        Once the context is entered, the run is in the sandbox's journal. The iterator ends after
        ``done``; leaving the context early does not stop the run.

        Raises:
            LinkOffline, SandboxDown, DispatchRefused, StreamCut: on entering; the last one also
                while reading.
        """

    @abstractmethod
    def attach(self, place: Place, *, run_id: str, fence: int, after: int) -> Stream:
        """Follow a run that was dispatched before; otherwise as ``dispatch``.

        Raises:
            UnknownRun: on entering; also everything that ``dispatch`` raises.
        """

    @abstractmethod
    async def ack(self, place: Place, *, run_id: str, fence: int, n: int) -> None:
        """Tell the sandbox that the server has stored the events up to ``n``."""

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
        """Pass a person's ``allow`` or ``deny`` to the agent, with their answers to its questions.

        ``approval_id`` names the question of the attempt ``fence``.

        Raises:
            UnknownRun: the sandbox does not know the run.
            DispatchRefused: with ``unknown_approval``, the question is no longer open.
        """

    async def steer(self, place: Place, *, run_id: str, steer_id: str, message: Json) -> None:
        """Pass the agent a person's message in the middle of its turn; once for each ``steer_id``.

        The run's events report the outcome: ``steer-taken`` immediately, and then
        ``steer-applied`` or ``steer-refused``.

        Raises:
            UnknownRun: the sandbox does not know the run.
            DispatchRefused: with ``not_steerable``, its turn has ended, or this kind of sandbox
                accepts no message in the middle of one.
        """
        raise DispatchRefused(
            "not_steerable", "This sandbox accepts no messages in the middle of a turn."
        )

    def watch(self, place: Place) -> States:
        """Follow what runs in the sandbox beside the runs of the server: its state as JSON, now
        and after each change, in the form of GET ``/background``. It starts no sandbox.

        Raises:
            LinkOffline, SandboxDown, DispatchRefused, StreamCut: as ``dispatch``.
            NotOffered: nothing can run there.
        """
        raise NotOffered

    async def stop_task(self, place: Place, *, thread_id: str, task_id: str) -> None:
        """End one task that a thread's program runs in the background.

        Raises:
            DispatchRefused: with ``unknown_task``, nothing of that name runs.
        """
        raise NotOffered

    async def end_thread(self, place: Place, *, thread_id: str) -> None:
        """Start ending all that runs for a thread, with its program."""
        raise NotOffered

    def open(
        self, place: Place, method: str, path: str, *, headers: Pairs = (), body: Body = b""
    ) -> Reply:
        """Request ``path`` from the sandbox's program; give its response, with any status, as a
        stream. ``path`` is the part after ``/_sandbox/`` and may have a query. ``body`` may be an
        upload if ``streams_bodies``, and ``path`` is below ``preview``.

        Raises:
            LinkOffline: its machine is not connected.
            UploadBroken: the upload's own client left.
            StreamCut: nothing answers, or the connection broke. Retry only a request that is
                safe to repeat.
            BadTarget, TargetTooLong: ``path`` may not be forwarded (``mesh.lib.targets``).
        """
        raise NotOffered

    async def streams_bodies(self, place: Place) -> bool:
        """Return whether ``open`` takes an upload: whether each program on the way to the dev
        server is new enough.

        Raises:
            LinkOffline, StreamCut: as ``open``.
        """
        return False

    async def request(
        self, place: Place, method: str, path: str, *, json: Any = None, limit: float | None = None
    ) -> httpx.Response:
        """Send a request as ``open`` does, with ``json`` as body; return the whole response.

        ``limit`` is the number of seconds that it may take instead of the usual 15.
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
        """Connect a browser's WebSocket to ``path`` of the sandbox's program until one side ends.

        Refuses it with 502 if the program can't be reached, or with the program's own status.

        Raises:
            BadTarget, TargetTooLong: before anything else, as in ``open``.
        """
        raise NotOffered

    async def stop(self, place: Place, *, force: bool = False) -> None:
        """End the sandbox's process; its files stay, and ``ensure`` starts it again.

        Safe to repeat: succeeds if there is no process.

        Raises:
            DispatchRefused: an agent is working in it, and ``force`` is false.
            LinkOffline, StreamCut: as in ``ensure``.
        """
        raise NotOffered

    async def release(self, place: Place, *, run_id: str, fence: int) -> None:
        """Release an attempt, because another process has the run or a newer attempt of it.

        A provider whose runs live in this process ends the attempt, which has no reader any more.
        A sandbox continues, or learns of the newer attempt when that is dispatched.
        """
        return

    async def remove(self, place: Place, *, force: bool = False) -> None:
        """End the sandbox for good. A container is removed with its files; on a person's machine
        they stay. Otherwise as ``stop``."""
        await self.stop(place, force=force)

    async def discard(self, place: Place) -> None:
        """Remove a sandbox that is no longer needed, with its files; on a person's machine, only
        files that are stored elsewhere as well.

        Safe to repeat: succeeds if there is no sandbox.

        Raises:
            AppError: it can't be reached, or an agent is working in it.
        """
        await self.remove(place)
