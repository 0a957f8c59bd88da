"""The browser's socket: any number of threads on one connection, each from its own number."""

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
# Characters of one message where the page takes pieces: it sees that a long one is on its way.
PIECE: Final = 32 * 1024


class BrowserConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    """One tab. What it follows is its own list of threads; each is a task over ``follow``."""

    # It subscribes to threads.reading.notifications: a channel of its own would be one more Redis
    # subscription, without which no page could connect.
    channel_layer_alias = None

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[UUID, asyncio.Task[None]] = {}
        self.beside: list[asyncio.Task[None]] = []
        self.watched = ExitStack()  # the rights that it stands on
        self.has_left = False  # found out by a send, before the server tells
        self.takes_pieces = False  # as the page says; older ones take whole messages only
        self.in_pieces = 0  # messages that were sent so

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:  # also when a frame of the page met a bug, or a database that is away
            await self.stop()

    async def connect(self) -> None:
        self.user = self.scope.get("user")
        await self.accept()
        # Refused after it was accepted: a browser shows the code only then.
        if not isinstance(self.user, User) or not self.user.is_active:
            await self.close(code=NOT_SIGNED_IN)
            return
        session = self.scope.get("session")
        self.viewer = Viewer(self.user, credential_of(self.user, sign_in=None, session=session))
        self.held = self.watched.enter_context(hold(self.viewer.signed_in))
        await self.say({"type": "hello", "version": settings.MESH_VERSION})
        for work in (self.tell_news(self.user), self.look_after_rights()):
            self.beside.append(asyncio.create_task(work))

    async def stop(self) -> None:
        """Let go of everything that is followed."""
        tasks = [*self.beside, *self.tasks.values()]
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
                pass  # a newer page may say more than we know

    async def start(self, frame: dict[str, Any]) -> None:
        """Follow a thread of the viewer's from the number that the page has."""
        thread_id, after = _uuid(frame.get("thread")), frame.get("after", 0)
        if thread_id is None or not isinstance(after, int) or isinstance(after, bool) or after < 0:
            await self.refuse(frame.get("thread"), "bad_frame", "thread or after is not valid.")
            return
        self.takes_pieces = frame.get("pieces") is True
        self.drop(thread_id)
        if len(self.tasks) >= FOLLOWED_AT_ONCE:
            await self.refuse(thread_id, "too_many_threads", "Unfollow a thread first.")
            return
        thread = await database_pool.reads.run(_find, self.user, thread_id)
        if thread is None:
            await self.refuse(thread_id, "not_found", "There is no such thing here.")
            return
        if after < thread.pruned_seq:
            await self.refuse(thread_id, CursorTooOld.code, CursorTooOld.hint)
            return
        await self.say({"type": "thread", "thread": selectors.thread_summary(thread)})
        self.held.rights.add(self.viewer.reads(thread_id))
        task = asyncio.create_task(self.pass_on(thread_id, min(after, thread.last_seq)))
        self.tasks[thread_id] = task

    def drop(self, thread_id: UUID | None) -> None:
        task = self.tasks.pop(thread_id, None) if thread_id else None
        if thread_id is not None and task is not None:
            self.held.rights.discard(self.viewer.reads(thread_id))
            task.cancel()

    async def pass_on(self, thread_id: UUID, after: int) -> None:
        """Send the thread's events as they come, until the task is cancelled."""
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
            logger.exception("A page's thread could not be followed.")
            await self.refuse(thread_id, "internal_error", "Something went wrong on the server.")
            self.tasks.pop(thread_id, None)

    async def look_after_rights(self) -> None:
        """Close what the viewer may follow no more: signed out, shut out, or no longer a member."""
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
        """Follow no longer what the viewer may not read any more."""
        followed = set(self.tasks)
        if followed:
            await self.hide(
                followed - await database_pool.reads.run(self.viewer.may_read, followed)
            )

    async def hide(self, thread_ids: Iterable[UUID]) -> None:
        for thread_id in thread_ids:
            self.drop(thread_id)
            await self.refuse(thread_id, NotFound.code, NotFound.text)

    async def tell_news(self, user: User) -> None:
        """Tell the page of the viewer's threads and machines whenever one changes."""
        try:
            await self.pass_on_news(user)
        except Exception:
            if self.has_left:
                return
            # The page comes back, and asks for everything anew.
            logger.exception("A page could not be told the news.")
            await self.close(code=SERVER_ERROR)

    async def pass_on_news(self, user: User) -> None:
        with notifications.subscribe(notifications.of_person(user.pk)) as subscriber:
            await self.tell_links(user)  # a page that was away has missed the changes
            while True:
                news = set(await subscriber.wait(60.0))
                for kind, thread_id in news:
                    if kind == "thread":
                        await self.tell_thread(user, UUID(thread_id))
                    elif kind == "links":
                        await self.tell_links(user)

    async def tell_thread(self, user: User, thread_id: UUID) -> None:
        summary = await database_pool.reads.run(_summary, user, thread_id)
        if summary is not None:
            await self.say({"type": "thread", "thread": summary})
        elif thread_id in self.tasks:
            await self.drop_hidden()

    async def tell_links(self, user: User) -> None:
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
        """Send a message, in pieces where the page takes them; others may come in between.

        A page that is slow is waited for. The server's protocol breaks off the connection of one
        that takes nothing (``mesh/websocket_protocol.py``).
        """
        if not self.takes_pieces or len(text) <= PIECE:
            await self.say_whole(text)
            return
        self.in_pieces = number = self.in_pieces + 1
        for at in range(0, len(text), PIECE):
            is_last = at + PIECE >= len(text)
            piece = {"type": "piece", "of": number, "last": is_last, "text": text[at : at + PIECE]}
            await self.say_whole(json.dumps(piece, ensure_ascii=False))

    async def say_whole(self, text: str) -> None:
        try:
            await self.send(text_data=text)
        except OSError:  # so ASGI's servers say that nobody is there any more
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
    """Return the frame for ``rows``; the chunks are JSON already and are not parsed for it."""
    events = ",".join(
        f'{{"seq":{row.seq},"runId":{_quoted(row.run_id)},"chunk":{row.text}}}' for row in rows
    )
    return f'{{"type":"events","thread":"{thread_id}","events":[{events}]}}'


def _quoted(run_id: UUID | None) -> str:
    return f'"{run_id}"' if run_id else "null"
