"""The browser's WebSocket: follows many threads on one connection, each from its own number."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from contextlib import ExitStack, aclosing
from typing import Any, Final
from uuid import UUID

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from links.selectors import link_as_json, list_links
from mesh import database_pool
from mesh.connection_checks import hold
from mesh.credentials import credential_of
from mesh.models import User
from mesh.selectors import NotFound
from threads import selectors, services
from threads.errors import CursorTooOld
from threads.journal.rows import EventRow
from threads.models import Thread
from threads.reading import notifications
from threads.reading.follow import follow
from threads.reading.viewers import Viewer

logger = logging.getLogger(__name__)

NOT_SIGNED_IN: Final = 4401
BAD_FRAME: Final = 1008
SERVER_ERROR: Final = 1011
FOLLOWED_AT_ONCE: Final = 50
FRAME_LIMIT: Final = 4_096  # characters of a frame from the browser: they are all short
# Characters of each piece of a long message, if the page accepts pieces: each shows the page that
# the connection is alive.
PIECE: Final = 32 * 1024


class BrowserConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    """One browser tab. It follows up to ``FOLLOWED_AT_ONCE`` threads, with a task for each."""

    # It subscribes to threads.reading.notifications: with a channel layer of its own, no page could
    # connect while Redis is down.
    channel_layer_alias = None

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[UUID, asyncio.Task[None]] = {}
        self.own_tasks: list[asyncio.Task[None]] = []
        self.watched = ExitStack()  # the rights that the connection depends on
        self.has_left = False  # a send has failed, before the server reports the disconnect
        self.accepts_pieces = False  # older pages accept whole messages only
        self.split_messages = 0  # number of messages that were sent in pieces

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:  # also after a bug, or while the database is unavailable
            await self.stop()

    async def connect(self) -> None:
        self.user = self.scope.get("user")
        await self.accept()
        # Refuse after accepting: otherwise a browser does not see the code.
        if not isinstance(self.user, User) or not self.user.is_active:
            await self.close(code=NOT_SIGNED_IN)
            return
        session = self.scope.get("session")
        self.viewer = Viewer(self.user, credential_of(self.user, sign_in=None, session=session))
        self.held = self.watched.enter_context(hold(self.viewer.signed_in))
        await self.say({"type": "hello", "version": settings.MESH_VERSION})
        for work in (self.report_changes(self.user), self.watch_rights()):
            self.own_tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        """Stop following everything."""
        tasks = [*self.own_tasks, *self.tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.watched.close()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        frame = _parse(text_data)
        if frame is None:
            await self.close(code=BAD_FRAME)
            return
        match frame.get("type"):
            case "follow":
                await self.start(frame)
            case "unfollow":
                self.drop(_uuid(frame.get("thread")))
            case "ping":
                await self.say({"type": "pong"})
            case _:
                pass  # a newer page may send types that we don't know

    async def start(self, frame: dict[str, Any]) -> None:
        """Start to follow a thread of the viewer's after the page's last number."""
        thread_id, after = _uuid(frame.get("thread")), frame.get("after", 0)
        if thread_id is None or not isinstance(after, int) or isinstance(after, bool) or after < 0:
            await self.refuse(frame.get("thread"), "bad_frame", "thread or after is invalid.")
            return
        self.accepts_pieces = frame.get("pieces") is True
        self.drop(thread_id)
        if len(self.tasks) >= FOLLOWED_AT_ONCE:
            await self.refuse(thread_id, "too_many_threads", "Unfollow another thread first.")
            return
        thread = await database_pool.reads.run(_find, self.user, thread_id)
        if thread is None:
            await self.refuse(thread_id, "not_found", NotFound.text)
            return
        if after < thread.pruned_seq:
            await self.refuse(thread_id, CursorTooOld.code, CursorTooOld.hint)
            return
        await self.say({"type": "thread", "thread": selectors.thread_summary(thread)})
        self.held.rights.add(self.viewer.reads(thread_id))
        task = asyncio.create_task(self.send_events(thread_id, min(after, thread.last_seq)))
        self.tasks[thread_id] = task

    def drop(self, thread_id: UUID | None) -> None:
        task = self.tasks.pop(thread_id, None) if thread_id else None
        if thread_id is not None and task is not None:
            self.held.rights.discard(self.viewer.reads(thread_id))
            task.cancel()

    async def send_events(self, thread_id: UUID, after: int) -> None:
        """Send the thread's events as they are committed, until the task is cancelled."""
        try:
            async with aclosing(follow(thread_id, after)) as batches:
                async for rows in batches:
                    if rows:
                        await self.say_text(_events_frame(thread_id, rows))
                        if any('"tool-approval-request"' in row.text for row in rows):
                            await database_pool.writes.run(services.mark_shown, thread_id=thread_id)
        except Exception:
            if self.has_left:
                return
            logger.exception("thread %s: following it for a page failed; refusing it", thread_id)
            await self.refuse(thread_id, "internal_error", "Something went wrong on the server.")
            self.tasks.pop(thread_id, None)

    async def watch_rights(self) -> None:
        """Stop following threads once the viewer has signed out or lost access to them."""
        while True:
            lost = await self.held.wait()
            if self.viewer.signed_in in lost:
                for thread_id in list(self.tasks):
                    self.drop(thread_id)
                await self.close(code=NOT_SIGNED_IN)
                return
            hidden = [one for one in self.tasks if self.viewer.reads(one) in lost]
            await self.hide(hidden)

    async def drop_hidden(self) -> None:
        """Stop following the threads that the viewer may no longer read."""
        followed = set(self.tasks)
        if followed:
            await self.hide(
                followed - await database_pool.reads.run(self.viewer.may_read, followed)
            )

    async def hide(self, thread_ids: Iterable[UUID]) -> None:
        for thread_id in thread_ids:
            self.drop(thread_id)
            await self.refuse(thread_id, NotFound.code, NotFound.text)

    async def report_changes(self, user: User) -> None:
        """Send the page each change of the viewer's threads and machines."""
        try:
            await self.send_changes(user)
        except Exception:
            if self.has_left:
                return
            # The page reconnects, and reads everything again.
            logger.exception("user %s: sending changes to a page failed; closing it", user.pk)
            await self.close(code=SERVER_ERROR)

    async def send_changes(self, user: User) -> None:
        with notifications.subscribe(notifications.of_person(user.pk)) as subscriber:
            await self.send_links(user)  # a page that was disconnected has missed the changes
            while True:
                changes = set(await subscriber.wait(60.0))
                for kind, thread_id in changes:
                    if kind == "thread":
                        await self.send_thread(user, UUID(thread_id))
                    elif kind == "links":
                        await self.send_links(user)

    async def send_thread(self, user: User, thread_id: UUID) -> None:
        summary = await database_pool.reads.run(_summary, user, thread_id)
        if summary is not None:
            await self.say({"type": "thread", "thread": summary})
        elif thread_id in self.tasks:
            await self.drop_hidden()

    async def send_links(self, user: User) -> None:
        views = await database_pool.reads.run(list_links, viewer=user)
        await self.say({"type": "links", "links": [link_as_json(view) for view in views]})

    async def refuse(self, thread: object, code: str, message: str) -> None:
        frame = {"type": "error", "code": code, "message": message}
        if isinstance(thread, str | UUID):
            frame["thread"] = str(thread)[:100]
        await self.say(frame)

    async def say(self, frame: dict[str, Any]) -> None:
        await self.say_text(json.dumps(frame))

    async def say_text(self, text: str) -> None:
        """Send a message, in pieces if the page accepts them; other messages may come in between.

        Waits for a slow page. The server's protocol closes the connection of a page that takes
        nothing (``mesh/websocket_protocol.py``).
        """
        if not self.accepts_pieces or len(text) <= PIECE:
            await self.say_whole(text)
            return
        self.split_messages = number = self.split_messages + 1
        for at in range(0, len(text), PIECE):
            is_last = at + PIECE >= len(text)
            piece = {"type": "piece", "of": number, "last": is_last, "text": text[at : at + PIECE]}
            await self.say_whole(json.dumps(piece, ensure_ascii=False))

    async def say_whole(self, text: str) -> None:
        try:
            await self.send(text_data=text)
        except OSError:  # ASGI servers raise it once the page has disconnected
            self.has_left = True
            raise


def _parse(text: str | None) -> dict[str, Any] | None:
    if text is None or len(text) > FRAME_LIMIT:
        return None
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return frame if isinstance(frame, dict) else None


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _find(user: User, thread_id: UUID) -> Thread | None:
    return selectors.find_thread(viewer=user, thread_id=thread_id)


def _summary(user: User, thread_id: UUID) -> dict[str, Any] | None:
    thread = selectors.find_thread(viewer=user, thread_id=thread_id)
    return selectors.thread_summary(thread) if thread else None


def _events_frame(thread_id: UUID, rows: list[EventRow]) -> str:
    """Return the frame for ``rows``, without parsing the chunks: they are JSON already."""
    events = ",".join(
        f'{{"seq":{row.seq},"runId":{_quoted(row.run_id)},"chunk":{row.text}}}' for row in rows
    )
    return f'{{"type":"events","thread":"{thread_id}","events":[{events}]}}'


def _quoted(run_id: UUID | None) -> str:
    return f'"{run_id}"' if run_id else "null"
