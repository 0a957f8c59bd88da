"""Sandboxes that speak the provider's interface in memory, each named for its fault."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sandboxes.providers.base import (
    DispatchRefused,
    LinkOffline,
    NotNow,
    SandboxDown,
    SandboxEvent,
    SandboxProvider,
    SandboxRemoved,
    StreamCut,
    UnknownRun,
)


def chunk(kind, **more):
    return {"type": "ui-message-chunk", "chunk": {"type": kind, **more}}


DONE = {"type": "done"}


def a_turn(*words, **finish):
    """Return the events of a turn that says ``words``."""
    return [
        chunk("start"),
        chunk("text-start", id="t"),
        *(chunk("text-delta", id="t", delta=word) for word in words),
        chunk("text-end", id="t"),
        chunk("finish", **finish),
        DONE,
    ]


@dataclass
class Told:
    """What a run was told, and what it has said."""

    fence: int
    input: dict
    events: list = field(default_factory=list)
    acked: int = 0
    answers: list = field(default_factory=list)
    said: dict | None = None  # what was answered to a tool that asks something
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, *bodies):
        self.events += bodies
        self.grown.set()


class ScriptedSandbox(SandboxProvider):
    """Says ``script``, then whatever the test has a run ``say``."""

    def __init__(self, *script):
        self.script = script
        self.runs: dict[str, Told] = {}
        self.starts: list[str] = []
        self.ensured = 0
        self.cancelled: list[str] = []

    async def ensure(self, place):
        self.ensured += 1

    @asynccontextmanager
    async def dispatch(self, place, *, harness_id, fence, input, after=0):
        run_id = input["runId"]
        known = self.runs.get(run_id)
        if run_id in self.cancelled:
            raise DispatchRefused("tombstoned", "It was stopped.")
        if known is not None and known.fence > fence:
            raise DispatchRefused("stale_fence", "There is a newer attempt.")
        if known is None or known.fence < fence:
            self.starts.append(run_id)
            self.runs[run_id] = Told(fence, input)
            self.runs[run_id].say(*self.script)
        yield self.read(self.runs[run_id], after)

    @asynccontextmanager
    async def attach(self, place, *, run_id, fence, after):
        if run_id not in self.runs:
            raise UnknownRun
        yield self.read(self.runs[run_id], after)

    async def read(self, run, after):
        while True:
            for n, body in enumerate(run.events[after:], after + 1):
                after = n
                yield SandboxEvent(n, body)
                if body == DONE:
                    return
            if after == len(run.events):
                run.grown.clear()
                await run.grown.wait()

    async def ack(self, place, *, run_id, fence, n):
        self.runs[run_id].acked = n

    async def cancel(self, place, *, run_id):
        self.cancelled.append(run_id)
        if run_id in self.runs:
            self.runs[run_id].say(chunk("abort"), chunk("finish"), DONE)

    async def answer(self, place, *, run_id, fence, approval_id, decision, reason, answers=None):
        self.runs[run_id].answers.append((approval_id, decision, reason))
        self.runs[run_id].said = answers


class LostProcess(ScriptedSandbox):
    """Agents that live in a process: another process knows nothing of them."""

    def __init__(self, *script):
        super().__init__(*script)
        self.let_gone: list[tuple[str, int]] = []

    async def release(self, place, *, run_id, fence):
        self.let_gone.append((run_id, fence))


class SteerableSandbox(ScriptedSandbox):
    """Takes what is said in between; ``steers`` are (run, id, words), as often as it is told."""

    takes = True

    def __init__(self, *script):
        super().__init__(*script)
        self.steers: list = []

    async def steer(self, place, *, run_id, steer_id, message):
        self.steers.append((run_id, steer_id, message["parts"][0]["text"]))
        if not self.takes:
            raise DispatchRefused("not_steerable", "Its turn is over.")
        self.runs[run_id].say({"type": "steer-taken", "steerId": steer_id})


class CuttingSandbox(ScriptedSandbox):
    """Its streams break after every second event."""

    cuts = 0

    async def read(self, run, after):
        passed = 0
        async for event in super().read(run, after):
            yield event
            passed += 1
            if passed == 2 and event.body != DONE:
                self.cuts += 1
                raise StreamCut


class RepeatingSandbox(ScriptedSandbox):
    """Sends everything from the beginning, whatever the reader has."""

    async def read(self, run, after):
        async for event in super().read(run, 0):
            yield event


class SkippingSandbox(ScriptedSandbox):
    """Leaves out its third event, every time."""

    async def read(self, run, after):
        async for event in super().read(run, after):
            if event.n != 3:
                yield event


class DyingSandbox(ScriptedSandbox):
    """Is gone at the first attempt; started again it tells what happened, or works."""

    is_up = False

    async def ensure(self, place):
        await super().ensure(place)
        self.is_up = self.ensured > 1

    @asynccontextmanager
    async def dispatch(self, place, **given):
        if not self.is_up:
            raise SandboxDown
        async with super().dispatch(place, **given) as events:
            yield events


class DownSandbox(ScriptedSandbox):
    """Never answers."""

    @asynccontextmanager
    async def dispatch(self, place, **given):
        raise SandboxDown
        yield


class OfflineSandbox(ScriptedSandbox):
    """Its machine is away while ``is_away``."""

    is_away = True

    async def ensure(self, place):
        if self.is_away:
            raise LinkOffline
        await super().ensure(place)


class StaleSandbox(ScriptedSandbox):
    """Knows a newer attempt of every run."""

    @asynccontextmanager
    async def dispatch(self, place, **given):
        raise DispatchRefused("stale_fence", "There is a newer attempt.")
        yield


class RefusingSandbox(ScriptedSandbox):
    """Refuses every run."""

    @asynccontextmanager
    async def dispatch(self, place, **given):
        raise DispatchRefused("not_signed_in", "Claude Code is not signed in.")
        yield


class CheckingSandbox(ScriptedSandbox):
    """Takes a call unless ``check``, which is given its name, raises."""

    def check(self, call):
        raise NotImplementedError

    async def ensure(self, place):
        self.check("ensure")
        await super().ensure(place)

    @asynccontextmanager
    async def dispatch(self, place, **given):
        self.check("dispatch")
        async with super().dispatch(place, **given) as events:
            yield events

    @asynccontextmanager
    async def attach(self, place, **given):
        self.check("attach")
        async with super().attach(place, **given) as events:
            yield events

    async def ack(self, place, **given):
        self.check("ack")
        await super().ack(place, **given)

    async def cancel(self, place, **given):
        self.check("cancel")
        await super().cancel(place, **given)

    async def answer(self, place, **given):
        self.check("answer")
        await super().answer(place, **given)


class BusySandbox(CheckingSandbox):
    """Refuses the first tries for a reason that passes, in the middle of a run too."""

    refusals = 4

    def check(self, call):
        least = {"dispatch": 2, "attach": 0}.get(call, self.refusals)
        if self.refusals > least:
            self.refusals -= 1
            raise NotNow("timestamp_drift", "The two clocks are apart.")

    async def read(self, run, after):
        async for event in super().read(run, after):
            yield event
            if self.refusals and event.n == 3:
                raise StreamCut


class WakingSandbox(CheckingSandbox):
    """On a laptop that slept: while ``is_drifting`` its clock is wrong, and no call is taken."""

    is_drifting = False

    def check(self, call):
        if self.is_drifting:
            raise NotNow("timestamp_drift", "The two clocks are apart.")

    def fall_asleep(self):
        """Cut every stream; on waking up, the clock is 40 seconds off."""
        self.is_drifting = True
        for run in self.runs.values():
            run.grown.set()

    async def read(self, run, after):
        while True:
            for n, body in enumerate(run.events[after:], after + 1):
                after = n
                yield SandboxEvent(n, body)
                if body == DONE:
                    return
            if self.is_drifting:
                raise StreamCut
            run.grown.clear()
            await run.grown.wait()


class DriftedSandbox(WakingSandbox):
    """Its clock is wrong from the beginning, and stays so."""

    is_drifting = True


class DeafSandbox(ScriptedSandbox):
    """Takes a stop and continues regardless."""

    async def cancel(self, place, *, run_id):
        self.cancelled.append(run_id)


class ForgetfulSandbox(ScriptedSandbox):
    """Breaks the stream, and then knows nothing of the run."""

    async def read(self, run, after):
        async for event in super().read(run, after):
            yield event
            if event.n == 2:
                self.runs.clear()
                raise StreamCut


class DriftingSandbox(CheckingSandbox):
    """Its clock is wrong: it refuses the first stops and answers, whose time seems to be past."""

    refusals = 2

    def check(self, call):
        if call in ("answer", "cancel") and self.refusals:
            self.refusals -= 1
            raise DispatchRefused("timestamp_drift", "The two clocks are apart.")


class MistrustfulSandbox(CheckingSandbox):
    """Refuses answers while it ``refuses``, such as one whose clock is wrong."""

    refuses = True
    refused = 0

    def check(self, call):
        if call == "answer" and self.refuses:
            self.refused += 1
            raise DispatchRefused("timestamp_drift", "The two clocks are apart.")


class ForbiddenSandbox(ScriptedSandbox):
    """Once ``is_gone``, it can't be started again: its folder is no longer allowed."""

    is_gone = False

    async def ensure(self, place):
        if self.is_gone:
            raise DispatchRefused("folder_not_allowed", "The folder is not allowed.")

    async def cancel(self, place, *, run_id):
        if self.is_gone:
            raise SandboxDown


class BackgroundSandbox(ScriptedSandbox):
    """Works in the background: ``state`` is what it tells. While ``is_down`` it has no process,
    while ``is_away`` its machine is not connected."""

    is_down = is_away = is_removed = False

    def __init__(self, *script):
        super().__init__(*script)
        self.state: dict = {}
        self.watched = 0
        self.stopped: list[tuple[str, str]] = []
        self.ended: list[str] = []
        self.changed = asyncio.Event()

    async def ensure(self, place):
        await super().ensure(place)
        self.is_down = False

    def tell(self, thread, *tasks, runs=()):
        self.state[str(thread.pk)] = {"tasks": list(tasks), "runs": list(runs)}
        self.changed.set()

    def begin(self, thread, run_id, *words, reason="The build ended."):
        """Begin a turn by itself, which says ``words``."""
        self.runs[str(run_id)] = Told(1, {})
        self.runs[str(run_id)].say(*words)
        run = {"runId": str(run_id), "fence": 1, "reason": reason, "doneN": 0}
        self.tell(thread, runs=[run])

    def break_feed(self):
        self.changed.set()
        self.is_cut = True

    is_cut = False

    @asynccontextmanager
    async def watch(self, place):
        if self.is_away:
            raise LinkOffline
        if self.is_down:
            raise SandboxRemoved if self.is_removed else SandboxDown
        self.watched += 1
        yield self._states()

    async def _states(self):
        while not self.is_down and not self.is_away and not self.is_cut:
            self.changed.clear()
            yield {"threads": dict(self.state)}
            await self.changed.wait()
        self.is_cut = False
        raise StreamCut

    async def ack(self, place, *, run_id, fence, n):
        await super().ack(place, run_id=run_id, fence=fence, n=n)
        if n >= len(self.runs[run_id].events):
            for each in self.state.values():
                each["runs"] = [run for run in each["runs"] if run["runId"] != run_id]
            self.changed.set()

    async def stop_task(self, place, *, thread_id, task_id):
        self.stopped.append((thread_id, task_id))

    async def end_thread(self, place, *, thread_id):
        self.ended.append(thread_id)
