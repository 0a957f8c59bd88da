"""Publish/subscribe: notifications that there is something new to read.

A notification may carry a copy of the rows, never the only one: notifications can be lost, so
every subscriber also polls every few seconds. Subscribers of this process are called directly;
with Redis configured those of other processes are notified too, without copies.
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
GROUP: Final = "mesh.notifications"
COPIES: Final = 500  # rows a subscriber keeps for a slow reader,
SIZE: Final = 256 * 1024  # and characters of them; then it reads the table
RETRY_FIRST: Final = 0.5  # seconds until Redis is subscribed to again,
RETRY_CEILING: Final = 5.0  # at most: readers poll as often


def of_thread(thread_id: UUID) -> str:
    """Return the topic of a thread's journal."""
    return f"thread.{thread_id}"


def of_person(user_id: int) -> str:
    """Return the topic of what a person's pages show besides open threads."""
    return f"person.{user_id}"


class Subscriber:
    """Receives one topic in one event loop. Beyond a limit it drops the copies, not the fact."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.loop = asyncio.get_running_loop()
        self._copies: deque[Any] = deque()
        self._size = 0  # characters of the copies
        self._notified = asyncio.Event()
        self._missed = False
        self.was_notified = False  # whether the last wait ended by a notification, not a timeout

    def take(self, copies: Sequence[Any]) -> None:
        """Receive a notification; called in the subscriber's loop."""
        self._size += sum(len(copy.text) for copy in copies if isinstance(copy, EventRow))
        if not copies or len(self._copies) + len(copies) > COPIES or self._size > SIZE:
            self._missed = True
            self._copies.clear()
        elif not self._missed:
            self._copies.extend(copies)
        self._notified.set()

    async def wait(self, seconds: float) -> list[Any]:
        """Return the copies since the last call; when empty, read the table.

        Waits for a notification, ``seconds`` at most.
        """
        if not self._notified.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._notified.wait()
        self.was_notified = self._notified.is_set()
        self._notified.clear()
        copies = [] if self._missed else list(self._copies)
        self._copies.clear()
        self._size = 0
        self._missed = False
        return copies


_subscribers: dict[str, set[Subscriber]] = defaultdict(set)
_lock = threading.Lock()  # services publish from worker threads, the journal from its own


@contextlib.contextmanager
def subscribe(topic: str) -> Iterator[Subscriber]:
    """Yield a subscriber to ``topic``, and remove it when the block ends."""
    subscriber = Subscriber(topic)
    with _lock:
        _subscribers[topic].add(subscriber)
    try:
        yield subscriber
    finally:
        with _lock:
            _subscribers[topic].discard(subscriber)
            if not _subscribers[topic]:
                del _subscribers[topic]


def publish_rows(rows: Sequence[EventRow]) -> None:
    """Notify the readers of each thread of its new rows, with copies. Safe from any OS thread."""
    by_topic: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_topic[of_thread(row.thread_id)].append(row)
    _publish(by_topic)


def publish(topic: str, *news: News) -> None:
    """Send ``news`` to all subscribers of ``topic``, in all processes. Safe from any OS thread."""
    _publish({topic: list(news)})


def _publish(by_topic: dict[str, list[Any]]) -> None:
    _publish_here(by_topic)
    if settings.CHANNEL_LAYERS["default"]["BACKEND"].startswith("channels_redis"):
        _publish_elsewhere(
            {
                topic: [item for item in items if not isinstance(item, EventRow)]
                for topic, items in by_topic.items()
            }
        )


def _publish_here(by_topic: dict[str, list[Any]]) -> None:
    calls: dict[asyncio.AbstractEventLoop, list[tuple[Subscriber, list[Any]]]] = defaultdict(list)
    with _lock:
        for topic, copies in by_topic.items():
            for subscriber in _subscribers.get(topic, ()):
                calls[subscriber.loop].append((subscriber, copies))
    for loop, deliveries in calls.items():
        # The loop may just have been closed: its subscribers are gone too.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_deliver, deliveries)


def _deliver(deliveries: list[tuple[Subscriber, list[Any]]]) -> None:
    for subscriber, copies in deliveries:
        subscriber.take(copies)


def _publish_elsewhere(topics: dict[str, list[News]]) -> None:
    """Publish through the channel layer without waiting for it."""
    message = {"type": "notification", "topics": topics, "node": settings.MESH_NODE}
    sender = _sender
    if sender is not None:
        with contextlib.suppress(RuntimeError):
            sender.call_soon_threadsafe(_send_soon, message)
        return
    async_to_sync(_send)(message)  # a process without a relay: a Celery task, a command


_sender: asyncio.AbstractEventLoop | None = None
_sending: set[asyncio.Task[None]] = set()
_is_failing = False  # the last message could not be published


def _send_soon(message: dict[str, Any]) -> None:
    if len(_sending) < 100:  # when the layer hangs, drop it: readers poll
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


async def relay() -> None:
    """Deliver here what other processes publish; runs as long as the server."""
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
                await _receive(layer)
            except Exception as exc:
                backoff.connected_for(time.monotonic() - began)
                wait = backoff.next()
                logger.warning(
                    "Redis pub/sub subscription failed; retrying in %.1f s: %r", wait, exc
                )
            with contextlib.suppress(Exception):
                # The layer keeps filling the queue of each channel it has created.
                await layer.flush()
            _end_if_cancelled()
            await asyncio.sleep(wait)
    finally:
        _sender = None


def _end_if_cancelled() -> None:
    """End this task if its cancellation was swallowed: the layer mistakes it for the end of a task
    of its own, and whatever awaits this task would wait forever."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _receive(layer: Any) -> NoReturn:
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
            logger.warning("ignored a malformed message on Redis: %r", exc)
            continue
        _publish_here(news)
