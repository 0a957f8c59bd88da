"""The relay between processes: Redis may be away, and what comes by it may be anything."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest
import pytest_asyncio
from channels.layers import get_channel_layer

from tests.servers import free_port
from tests.waiting import PATIENCE, auntil
from threads.reading import notifications


@pytest.fixture
def redis_away(settings, monkeypatch):
    """Redis is configured, and nobody listens at its address."""
    monkeypatch.setattr(notifications, "RETRY_FIRST", 0.001)
    monkeypatch.setattr(notifications, "RETRY_CEILING", 0.001)
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [f"redis://127.0.0.1:{free_port()}/0"]},
        }
    }


@pytest_asyncio.fixture
async def hearing(redis_away):
    task = asyncio.create_task(notifications.relay())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def failures(caplog):
    return [one for one in caplog.messages if one.startswith("Redis pub/sub subscription failed")]


async def test_a_retry_leaves_no_channel_behind(hearing, caplog):
    await auntil(lambda: len(failures(caplog)) >= 3)

    layer = get_channel_layer()._get_layer()
    assert len(layer.channels) <= 1
    assert len(layer.groups) <= 1
    assert "retrying in 0.0 s" in failures(caplog)[0]


class CatchingLayer:
    """Redis is away, and the layer takes the end of whoever flushes it for its own task's."""

    def __init__(self):
        self.is_flushed = asyncio.Event()

    async def new_channel(self):
        raise ConnectionError

    async def flush(self):
        if not self.is_flushed.is_set():
            self.is_flushed.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()


async def test_a_server_that_stops_while_the_layer_is_flushed_stops(redis_away, monkeypatch):
    layer = CatchingLayer()
    monkeypatch.setattr(notifications, "get_channel_layer", lambda: layer)
    hearing = asyncio.create_task(notifications.relay())
    await layer.is_flushed.wait()

    hearing.cancel()

    await asyncio.wait({hearing}, timeout=PATIENCE)
    assert hearing.cancelled()


async def test_that_redis_fails_is_said_once(redis_away, caplog):
    for _ in range(3):
        await notifications._send({"type": "notification", "topics": {}, "node": "a"})

    assert [one.levelname for one in caplog.records if "publish" in one.message] == ["WARNING"]


class Layer:
    """A layer in memory that hands on ``messages``, then waits."""

    def __init__(self, *messages):
        self.messages = list(messages)

    async def new_channel(self):
        return "c"

    async def group_add(self, group, channel):
        pass

    async def receive(self, channel):
        if not self.messages:
            await asyncio.Event().wait()
        return self.messages.pop(0)


async def test_a_malformed_message_ends_nothing(caplog):
    good = {"node": "another", "topics": {"runs": [["thread", "1"]]}}

    with notifications.subscribe(notifications.RUNS) as subscriber:
        task = asyncio.create_task(
            notifications._receive(Layer({}, {"topics": 1}, {"topics": {"a": [1]}}, good))
        )
        assert await subscriber.wait(PATIENCE) == [("thread", "1")]

    task.cancel()
    assert caplog.text.count("ignored a malformed message on Redis") == 3
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
