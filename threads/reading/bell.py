"""The doorbell: who waits for something is told at once that it is there.

A bell may carry a copy of the rows, never the only one: it may be lost, and everybody who
waits also looks by itself every few seconds. Inside the process it rings directly; with
Redis configured it also rings in the other processes, without copies.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Any, Final, NoReturn
from uuid import UUID

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings

from mesh.lib.backoff import Backoff
from threads.journal.rows import EventRow

logger = logging.getLogger(__name__)

RUNS: Final = "runs"  # there may be a run to dispatch, to stop or to answer
# What is new, such as ("thread", its id): small enough to be sent to other processes.
News = tuple[str, ...]
GROUP: Final = "mesh.bells"
COPIES: Final = 500  # rows an ear keeps for a slow reader,
SIZE: Final = 256 * 1024  # and characters of them; then it reads the table
RETRY_FIRST: Final = 0.5  # seconds until Redis is subscribed to again,
RETRY_CEILING: Final = 5.0  # at most: readers look by themselves as often


def of_thread(thread_id: UUID) -> str:
    """Return the topic of a thread's journal."""
    return f"thread.{thread_id}"


def of_person(user_id: int) -> str:
    """Return the topic of what a person's pages show besides open threads."""
    return f"person.{user_id}"


class Ear:
    """Hears one topic, in one event loop. Keeps copies up to a limit, else only the ring."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.loop = asyncio.get_running_loop()
        self._copies: deque[Any] = deque()
        self._size = 0  # characters of the copies
        self._rang = asyncio.Event()
        self._missed = False
        self.was_rung = False  # whether the last wait ended by a ring, not by its time

    def hear(self, copies: Sequence[Any]) -> None:
        """Take a ring; called in the ear's loop."""
        self._size += sum(len(copy.text) for copy in copies if isinstance(copy, EventRow))
        if not copies or len(self._copies) + len(copies) > COPIES or self._size > SIZE:
            self._missed = True
            self._copies.clear()
        elif not self._missed:
            self._copies.extend(copies)
        self._rang.set()

    async def wait(self, seconds: float) -> list[Any]:
        """Return the copies since the last call; empty: look for yourself.

        Waits for a ring, at most ``seconds``.
        """
        if not self._rang.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._rang.wait()
        self.was_rung = self._rang.is_set()
        self._rang.clear()
        copies = [] if self._missed else list(self._copies)
        self._copies.clear()
        self._size = 0
        self._missed = False
        return copies


_ears: dict[str, set[Ear]] = defaultdict(set)
_lock = threading.Lock()  # services ring from worker threads, the journal from its own


@contextlib.contextmanager
def listen(topic: str) -> Iterator[Ear]:
    """Give an ear for ``topic`` until the block ends."""
    ear = Ear(topic)
    with _lock:
        _ears[topic].add(ear)
    try:
        yield ear
    finally:
        with _lock:
            _ears[topic].discard(ear)
            if not _ears[topic]:
                del _ears[topic]


def ring_rows(rows: Sequence[EventRow]) -> None:
    """Tell the readers of each thread of its new rows, with copies. Any thread may call."""
    by_topic: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_topic[of_thread(row.thread_id)].append(row)
    _ring(by_topic)


def ring(topic: str, *news: News) -> None:
    """Tell the listeners of ``topic``, here and elsewhere, ``news``. Any thread may call."""
    _ring({topic: list(news)})


def _ring(by_topic: dict[str, list[Any]]) -> None:
    _ring_here(by_topic)
    if settings.CHANNEL_LAYERS["default"]["BACKEND"].startswith("channels_redis"):
        _ring_elsewhere(
            {
                topic: [item for item in items if not isinstance(item, EventRow)]
                for topic, items in by_topic.items()
            }
        )


def _ring_here(by_topic: dict[str, list[Any]]) -> None:
    calls: dict[asyncio.AbstractEventLoop, list[tuple[Ear, list[Any]]]] = defaultdict(list)
    with _lock:
        for topic, copies in by_topic.items():
            for ear in _ears.get(topic, ()):
                calls[ear.loop].append((ear, copies))
    for loop, rings in calls.items():
        # The loop may just have been closed: its ears need nothing any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_deliver, rings)


def _deliver(rings: list[tuple[Ear, list[Any]]]) -> None:
    for ear, copies in rings:
        ear.hear(copies)


def _ring_elsewhere(topics: dict[str, list[News]]) -> None:
    """Pass the ring on through the channel layer, without ever waiting for it."""
    message = {"type": "bell", "topics": topics, "node": settings.MESH_NODE}
    sender = _sender
    if sender is not None:
        with contextlib.suppress(RuntimeError):
            sender.call_soon_threadsafe(_send_soon, message)
        return
    async_to_sync(_send)(message)  # a process without a listener: a Celery worker, a command


_sender: asyncio.AbstractEventLoop | None = None
_sending: set[asyncio.Task[None]] = set()
_is_failing = False  # the last message could not be published


def _send_soon(message: dict[str, Any]) -> None:
    if len(_sending) < 100:  # a layer that hangs: readers look by themselves
        task = asyncio.get_running_loop().create_task(_send(message))
        _sending.add(task)
        task.add_done_callback(_sending.discard)


async def _send(message: dict[str, Any]) -> None:
    """Publish ``message``. Says once that Redis fails, and once that it works again."""
    global _is_failing
    try:
        await get_channel_layer().group_send(GROUP, message)
    except Exception as exc:
        if not _is_failing:
            logger.warning("Redis publish failed; other processes will be up to 5 s late: %r", exc)
        _is_failing = True
        return
    if _is_failing:
        logger.info("Redis publish works again")
    _is_failing = False


async def hear_elsewhere() -> None:
    """Ring here whatever rings in the other processes; runs as long as the server."""
    global _sender
    if not settings.CHANNEL_LAYERS["default"]["BACKEND"].startswith("channels_redis"):
        return
    _sender = asyncio.get_running_loop()
    layer = get_channel_layer()
    backoff = Backoff(first=RETRY_FIRST, ceiling=RETRY_CEILING)
    try:
        while True:
            began = time.monotonic()
            try:
                await _hear(layer)
            except Exception as exc:
                backoff.connected_for(time.monotonic() - began)
                wait = backoff.next()
                logger.warning(
                    "Redis pub/sub subscription failed; retrying in %.1f s: %r", wait, exc
                )
            with contextlib.suppress(Exception):
                # The layer keeps the queue of each channel it has made, and fills it for ever.
                await layer.flush()
            await asyncio.sleep(wait)
    finally:
        _sender = None


async def _hear(layer: Any) -> NoReturn:
    channel = await layer.new_channel()
    await layer.group_add(GROUP, channel)
    while True:
        message = await layer.receive(channel)
        if message.get("node") == settings.MESH_NODE:
            continue
        try:
            news = {
                topic: [tuple(new) for new in each] for topic, each in message["topics"].items()
            }
        except (AttributeError, KeyError, TypeError) as exc:
            logger.warning("ignored a message on Redis that is not ours: %r", exc)
            continue
        _ring_here(news)
