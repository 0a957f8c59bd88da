"""What every provider must do. A kind's test class inherits this and defines ``provider``,
``place`` and ``break_sandbox``; the sandbox behind it has the ``plain`` harness of the tests."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from abc import ABC, abstractmethod
from uuid import uuid4

import pytest

from mesh.lib.targets import BadTarget
from sandboxes.providers.base import (
    DispatchRefused,
    SandboxDown,
    SandboxProvider,
    StreamCut,
    UnknownRun,
)
from tests.sandboxes.daemon.sandbox import turn_input
from tests.waiting import auntil


class Files:
    """Files that messages refer to, and how often each was read."""

    def __init__(self, data):
        self.data = data
        self.reads = []

    async def read(self, reference):
        self.reads.append(reference["id"])
        return self.data.get(reference["id"])

    def digest(self, name):
        return hashlib.sha256(self.data[name]).hexdigest()

    @property
    def messages(self):
        parts = [
            {
                "type": "file",
                "mediaType": "text/plain",
                "filename": name,
                "url": f"/api/home/decopilot/files/{name}",
                "attachment": {"id": name, "size": len(data or b"")},
            }
            for name, data in self.data.items()
        ]
        text = {"type": "text", "text": json.dumps([["say", "seen"]])}
        return [{"id": "m", "role": "user", "parts": [text, *parts]}]


class ProviderConformance(ABC):
    """The kit. Nothing in it knows how the sandbox is reached."""

    @pytest.fixture
    @abstractmethod
    def provider(self) -> SandboxProvider: ...

    @pytest.fixture
    @abstractmethod
    def place(self):
        """A place whose sandbox runs."""

    @pytest.fixture
    @abstractmethod
    def break_sandbox(self):
        """A function that kills the sandbox's process."""

    @pytest.fixture
    def run_id(self):
        return str(uuid4())

    def dispatch(self, provider, place, run_id, *steps, fence=1, after=0):
        return provider.dispatch(
            place,
            harness_id="plain",
            fence=fence,
            input=turn_input(run_id, *steps, thread=run_id),
            after=after,
        )

    async def run(self, provider, place, run_id, *steps, **options):
        async with self.dispatch(provider, place, run_id, *steps, **options) as events:
            return [event async for event in events]

    async def test_ensuring_again_changes_nothing(self, provider, place, run_id):
        await provider.ensure(place)
        await provider.ensure(place)

        assert await self.run(provider, place, run_id, ["say", "hi"])

    async def test_a_run_from_one_to_done(self, provider, place, run_id):
        events = await self.run(provider, place, run_id, ["say", "hi"])

        assert [event.n for event in events] == list(range(1, len(events) + 1))
        assert [event.is_last for event in events] == [False] * (len(events) - 1) + [True]

    async def test_dispatching_again_starts_nothing(self, provider, place, run_id):
        first = await self.run(provider, place, run_id, ["pid"])

        assert await self.run(provider, place, run_id, ["pid"]) == first
        assert await self.run(provider, place, run_id, ["pid"], after=2) == first[2:]

    async def test_attaching_continues_after_the_cursor(self, provider, place, run_id):
        whole = await self.run(provider, place, run_id, ["notes", 100])

        async with provider.attach(place, run_id=run_id, fence=1, after=50) as events:
            assert [event async for event in events] == whole[50:]

    async def test_a_reader_that_leaves_does_not_stop_the_run(self, provider, place, run_id):
        async with self.dispatch(provider, place, run_id, ["slowly", 20]) as events:
            await anext(events)
        async with provider.attach(place, run_id=run_id, fence=1, after=0) as events:
            text = [e.body["chunk"].get("delta", "") async for e in events if "chunk" in e.body]

        assert "".join(text).split() == [str(n) for n in range(1, 21)]

    async def test_cancelling_ends_the_stream_with_done(self, provider, place, run_id):
        async with self.dispatch(provider, place, run_id, ["until_told"]) as events:
            await anext(events)
            await provider.cancel(place, run_id=run_id)
            await provider.cancel(place, run_id=run_id)
            rest = [event async for event in events]

        assert rest[-1].is_last
        with pytest.raises(DispatchRefused) as refused:
            await self.run(provider, place, run_id, ["say", "again"])
        assert refused.value.code == "tombstoned"

    async def test_an_answer_reaches_the_agent(self, provider, place, run_id):
        answer = {"run_id": run_id, "approval_id": "q", "decision": "allow", "reason": "fine"}
        answer |= {"fence": 1, "answers": {"Which?": ["a", "b"]}}
        async with self.dispatch(provider, place, run_id, ["ask", "q"]) as events:
            seen = [await anext(events) for _ in range(3)]
            await provider.answer(place, **answer)
            seen += [event async for event in events]

        deltas = [e.body["chunk"].get("delta") for e in seen if "chunk" in e.body]
        assert "q: allow fine Which?=['a', 'b']" in deltas

    async def test_an_answer_to_no_question_is_refused(self, provider, place, run_id):
        await self.run(provider, place, run_id, ["say", "hi"])

        with pytest.raises(DispatchRefused) as refused:
            await provider.answer(
                place, run_id=run_id, fence=1, approval_id="q", decision="allow", reason=""
            )
        assert refused.value.code == "unknown_approval"

    @pytest.mark.parametrize(("text", "became"), [("more", "applied"), ("no", "refused")])
    async def test_what_is_said_in_between_reaches_the_agent_once(
        self, provider, place, run_id, text, became
    ):
        message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": text}]}
        async with self.dispatch(provider, place, run_id, ["until_told"]) as events:
            await anext(events)
            for _ in range(3):
                await provider.steer(place, run_id=run_id, steer_id="s", message=message)
            await provider.cancel(place, run_id=run_id)
            seen = [event.body async for event in events]

        assert [b["type"] for b in seen if b["type"].startswith("steer")] == [
            "steer-taken",
            f"steer-{became}",
        ]

    async def test_a_message_after_the_turn_is_refused(self, provider, place, run_id):
        await self.run(provider, place, run_id, ["say", "hi"])
        message = {"id": "m", "role": "user", "parts": []}

        with pytest.raises(DispatchRefused) as refused:
            await provider.steer(place, run_id=run_id, steer_id="s", message=message)
        assert refused.value.code == "not_steerable"
        with pytest.raises(UnknownRun):
            await provider.steer(place, run_id="never", steer_id="s", message=message)

    async def test_acknowledging_is_safe_to_repeat(self, provider, place, run_id):
        events = await self.run(provider, place, run_id, ["say", "hi"])

        for _ in range(2):
            await provider.ack(place, run_id=run_id, fence=1, n=len(events))

    async def test_a_run_that_was_never_dispatched(self, provider, place, run_id):
        with pytest.raises(UnknownRun):
            async with provider.attach(place, run_id="never", fence=1, after=0):
                pass

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"harness_id": "eliza"}, "unknown_harness"),
            ({"input": {}}, "bad_input"),
            ({"fence": 1}, "stale_fence"),
        ],
    )
    async def test_what_is_refused_has_a_code(self, provider, place, run_id, changes, code):
        await self.run(provider, place, run_id, ["say", "hi"], fence=2)
        asked = {"harness_id": "plain", "fence": 2, "input": turn_input(run_id)} | changes

        with pytest.raises(DispatchRefused) as refused:
            async with provider.dispatch(place, **asked):
                pass
        assert (refused.value.code, bool(str(refused.value))) == (code, True)

    @pytest.mark.faults
    async def test_a_dead_sandbox_is_ensured_and_tells_how_the_run_ended(
        self, provider, place, run_id, break_sandbox
    ):
        async with self.dispatch(provider, place, run_id, ["silence"]) as events:
            seen = [await anext(events) for _ in range(2)]
        break_sandbox()
        with pytest.raises(SandboxDown):
            async with provider.attach(place, run_id=run_id, fence=1, after=2):
                pass

        await provider.ensure(place)
        async with provider.attach(place, run_id=run_id, fence=1, after=2) as events:
            seen += [event async for event in events]

        assert [event.n for event in seen] == list(range(1, len(seen) + 1))
        assert {"sandbox_died"} == {e.body["code"] for e in seen if e.body["type"] == "error"}
        assert seen[-1].is_last

    @pytest.mark.faults
    async def test_a_stream_that_breaks_says_so(self, provider, place, run_id, break_sandbox):
        async with self.dispatch(provider, place, run_id, ["silence"]) as events:
            await anext(events)
            break_sandbox()
            with pytest.raises(StreamCut):
                [event async for event in events]

    async def test_a_run_outlives_a_quick_cancel_of_its_reader(self, provider, place, run_id):
        async def follow():
            async with self.dispatch(provider, place, run_id, ["slowly", 20]) as events:
                async for _ in events:
                    pass

        following = asyncio.create_task(follow())

        async def is_known():
            try:
                async with provider.attach(place, run_id=run_id, fence=1, after=0):
                    return True
            except UnknownRun:
                return False

        await auntil(is_known)
        following.cancel()
        async with provider.attach(place, run_id=run_id, fence=1, after=0) as events:
            assert [event async for event in events][-1].is_last

    async def test_a_file_is_sent_once_however_many_runs_name_it(self, provider, place, run_id):
        files = Files({"a": os.urandom(300_000), "b": b"Some text."})
        provider.read_file = files.read
        given = {"thread": run_id, "messages": files.messages}
        asked = [turn_input(f"{run_id}-{n}", **given) for n in range(2)]
        for turn in asked:
            run = provider.dispatch(place, harness_id="plain", fence=1, input=turn)
            async with run as events:
                chunks = [e.body["chunk"] async for e in events if "chunk" in e.body]

            told = [chunk["data"] for chunk in chunks if chunk["type"] == "data-file"]
            assert told == [{"name": name, "digest": files.digest(name)} for name in ("a", "b")]
        assert files.reads == ["a", "b"]

    async def test_any_route_of_the_sandbox_can_be_asked(self, provider, place):
        answer = await provider.request(place, "GET", "health")

        assert answer.status_code == 200
        assert answer.json()["activeRuns"] >= 0

    async def test_what_the_sandbox_refuses_is_given_back_as_it_is(self, provider, place):
        answer = await provider.request(place, "POST", "no/such/route", json={})

        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")

    async def test_an_answer_can_be_read_as_it_streams(self, provider, place):
        async with provider.open(place, "GET", "health?x=1", headers=[("accept", "*/*")]) as reply:
            pieces = [piece async for piece in reply.aiter_raw()]

        assert reply.status_code == 200
        assert b"activeRuns" in b"".join(pieces)

    @pytest.mark.parametrize(
        "path", ["preview/../config", "preview/%2e%2e/config", "preview/..%2f..", "..\\x", "a b"]
    )
    async def test_an_address_that_could_be_read_in_two_ways_is_never_asked(
        self, provider, place, path
    ):
        with pytest.raises(BadTarget):
            await provider.request(place, "GET", path)
        with pytest.raises(BadTarget):
            async with provider.open(place, "GET", path):
                pass
        with pytest.raises(BadTarget):
            await provider.join(place, path, scope={}, receive=None, send=None)

    async def test_a_path_below_the_preview_stays_there(self, provider, place):
        async with provider.open(place, "GET", "preview/a/...//b%2Fc") as reply:
            body = await reply.aread()

        assert (reply.status_code, b"dev_server_starting" in body) == (503, True)
