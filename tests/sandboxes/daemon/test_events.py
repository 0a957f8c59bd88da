"""The event stream over the real socket: D-SB1, and its order, replay and limits."""

from __future__ import annotations

import asyncio

import pytest

from mesh.lib.errors import AppError
from sandboxes.daemon import events as module
from sandboxes.daemon.events import Events
from sandboxes.daemon.feeds import QUEUE_LIMIT, Feed, event
from tests.sandboxes.daemon.events_reader import looking_on


async def names_in(feed):
    block = (await feed.next()).decode()
    return [line.removeprefix("event: ") for line in block.splitlines() if line[:6] == "event:"]


async def test_a_new_reader_gets_the_known_events_in_order(sandbox):  # D-SB1
    async with looking_on(sandbox) as told:
        assert [name for name, _ in told.events] == ["lifecycle", "tasks", "status", "branch"]
        assert told.of("status") == [{"state": "running"}]


async def test_everything_known_is_replayed():
    events = Events()
    events.log("setup", "one\n")
    events.log("dev", "two\n")
    events.publish_scripts(["dev"])
    events.publish_reload()

    feed = events.subscribe()

    known = ["lifecycle", "log", "log", "scripts", "tasks", "status", "branch"]
    assert await names_in(feed) == known
    events.close()


async def test_what_happens_goes_to_all():
    events = Events()
    feeds = [events.subscribe() for _ in range(3)]
    for feed in feeds:
        await feed.next()
    events.publish_reload()
    events.publish_status({"state": "error"})
    events.publish_status({"state": "error"})

    assert [await names_in(feed) for feed in feeds] == [["reload", "status"]] * 3
    events.close()


async def test_the_lifecycle_is_sent_repeatedly(monkeypatch):
    monkeypatch.setattr(module, "REPEAT_EVERY", 0.01)
    events = Events()
    feed = events.subscribe()
    await feed.next()

    assert "lifecycle" in await names_in(feed)
    events.close()


async def test_a_hundred_may_look_on():
    events = Events()
    feeds = [events.subscribe() for _ in range(100)]

    with pytest.raises(AppError) as caught:
        events.subscribe()
    assert (caught.value.status, caught.value.code) == (429, "too_many_clients")

    events.unsubscribe(feeds[0])
    events.subscribe()
    events.close()


async def test_of_a_long_log_the_end_is_kept():
    events = Events()
    for number in range(10_000):
        events.log("dev", f"line {number} {'x' * 50}\n")
    feed = events.subscribe()

    block = await feed.next()
    assert 200_000 < len(block) < 300_000
    assert b"line 9999" in block
    events.close()


async def test_a_reader_that_lags_too_far_is_dropped():
    feed = Feed()
    for _ in range(3):
        feed.put_raw(b"x" * (QUEUE_LIMIT // 2))

    assert await feed.next() == b""


async def test_changes_of_files_are_collected_and_published_once_each():
    events = Events()
    feed = events.subscribe()
    await feed.next()
    for path in ("b.txt", "a.txt", "b.txt"):
        events.publish_changed(path)

    block = await feed.next()
    assert block == b"".join(event("file-changed", {"path": path}) for path in ("a.txt", "b.txt"))
    events.close()


async def test_what_a_tool_writes_is_published(sandbox):
    async with looking_on(sandbox) as told:
        await sandbox.post("/write", {"path": "a.txt", "content": ""})
        await told.event("file-changed")

        assert told.of("file-changed") == [{"path": "a.txt"}]


async def test_commands_are_told_but_not_their_output(sandbox):
    async with looking_on(sandbox) as told:
        await sandbox.post("/bash", {"command": "echo private"})

        active = [data["active"] for data in told.of("tasks")]
        assert [task["command"] for task in active[1]] == ["echo private"]
        assert active[-1] == []
        assert told.of("log") == []


async def test_a_reader_that_left_is_forgotten(sandbox):
    for _ in range(120):
        async with sandbox.client.stream("GET", "/events") as reply:
            assert reply.status_code == 200
    await asyncio.sleep(0)

    async with looking_on(sandbox) as told:
        assert told.of("status")
