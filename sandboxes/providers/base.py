"""What every kind of sandbox offers to the server, and how it fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from links.errors import LinkOffline as LinkOffline
from mesh.lib.errors import AppError

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Which sandbox, and what it is made from should it not be there yet."""

    kind: str
    link_id: UUID
    handle: str
    folder: str | None = None
    repo: Json | None = None
    branch: str | None = None


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


class StreamCut(AppError):
    """The stream ended before ``done``: attach again after the last number that is kept."""

    code = "stream_truncated"
    text = "The connection to the sandbox broke."
    hint = "It is joined again by itself."
    status = 502


class SandboxProvider(ABC):
    """One kind of sandbox, such as a folder on a person's machine or a container.

    A subclass must define the six methods below. Everything it raises is one of the errors of
    this module, of which only ``DispatchRefused`` is final: for all others the caller tries
    again, so each method must be safe to repeat, and a run is started once however often it
    is dispatched with the same fence.

    It may keep connections and caches between calls, for any number of runs at once. It need
    not number events, store them, or find out whether a run is over: the sandbox does that.
    ``tests.sandboxes.providers.conformance`` holds it to all this.
    """

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
        approval_id: str,
        decision: str,
        reason: str,
        answers: Json | None = None,
    ) -> None:
        """Give a person's ``allow`` or ``deny`` to the agent, and what they answered to it.

        Raises:
            UnknownRun: it isn't there.
            DispatchRefused: with ``unknown_approval``, it is not asked any more.
        """
