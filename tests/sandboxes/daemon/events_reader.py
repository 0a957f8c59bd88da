"""Reads a sandbox's /events on a task of its own, and waits for what it tells."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

from tests.waiting import PATIENCE, auntil


class Told:
    """The events so far, as (name, data)."""

    def __init__(self):
        self.events = []

    def of(self, name):
        return [data for told, data in self.events if told == name]

    @property
    def phases(self):
        return [data["state"]["phase"] for data in self.of("lifecycle") if data["state"]]

    @property
    def log(self):
        return "".join(data["data"] for data in self.of("log"))

    async def phase(self, kind, *, within=60):
        """Wait for a phase; return it."""

        def look():
            states = [data["state"] for data in self.of("lifecycle") if data["state"]]
            return next((state for state in states if state["phase"] == kind), None)

        try:
            return await auntil(look, within=within)
        except AssertionError as exc:
            raise AssertionError(f"no phase {kind}: {self.phases}\n{self.log}") from exc

    async def event(self, name, *, within=PATIENCE):
        return (await auntil(lambda: self.of(name), within=within, what=name))[0]


@asynccontextmanager
async def looking_on(sandbox):
    """``async with looking_on(sandbox) as told``: the events from now on, including the replay."""
    told = Told()
    reading = asyncio.create_task(_read(sandbox, told))
    try:
        await auntil(lambda: told.of("branch"), what="the replay")
        yield told
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _read(sandbox, told):
    async with sandbox.client.stream("GET", "/events", timeout=None) as reply:
        assert reply.headers["content-type"] == "text/event-stream"
        assert reply.headers["x-accel-buffering"] == "no"
        name = ""
        async for line in reply.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                told.events.append((name, json.loads(line.removeprefix("data: "))))
