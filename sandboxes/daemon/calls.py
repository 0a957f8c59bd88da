"""The calls that change something and carry an id: each is carried out at most once (ADR 13).

Whoever made a call and lost its answer, with its process or the connection, makes it again under
the same id. A call is on the disk before it begins: after a power failure, too, nobody takes one
that may have been carried out for one that never came.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agents.harness.base import BadInput
from mesh.lib.errors import AppError
from sandboxes.daemon.fields import Fields

logger = logging.getLogger(__name__)

NAME: Final = "calls.db"
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")
KEPT_FOR: Final = 7 * 24 * 3600.0  # seconds; a server that has not come back by then won't
PRUNE_EVERY: Final = 500  # calls

Json = dict[str, Any]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS call (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,  -- of what was asked for
    boot_id TEXT NOT NULL,  -- the process that began it
    began_at REAL NOT NULL,
    reply TEXT  -- until it has ended, nothing
);
CREATE INDEX IF NOT EXISTS call_by_age ON call (began_at);
"""


class UnknownCall(AppError):
    code = "unknown_call"
    text = "No call with this id has arrived here."
    hint = "Make it."
    status = 404


class LostCall(AppError):
    code = "lost_call"
    text = "This call began earlier, and it is not known what came of it."
    hint = "Look at what it should have changed before you make it again."
    status = 409


class DifferentCall(AppError):
    code = "different_call"
    text = "Another call was made with this id."
    hint = "Give each call an id of its own."
    status = 409


class CallNotKept(AppError):
    code = "call_not_kept"
    text = "The call could not be recorded on that machine's disk, so it was not made."
    hint = "Make sure that its disk is not full, and make the call again."
    status = 507


def call_id_of(body: Fields) -> str:
    """Return the id that a request gives to its call; empty without one.

    Raises:
        BadInput: it is none.
    """
    call_id = body.text("callId", "")
    if call_id and not _ID.fullmatch(call_id):
        raise BadInput("callId may have up to 200 letters, digits and . _ -", detail="callId")
    return call_id


@dataclass(frozen=True, slots=True)
class Call:
    """A call that has begun; ``reply`` is ``None`` until it has ended."""

    digest: str
    boot_id: str
    reply: Json | None


class Calls:
    """The calls of one sandbox, in a file in ``root``; ``boot_id`` is this process."""

    def __init__(self, root: Path, boot_id: str) -> None:
        self.boot_id = boot_id
        self._path = root / NAME
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._begun = 0
        self._working: dict[str, tuple[str, asyncio.Task[Call]]] = {}

    async def once(
        self, call_id: str, asked: Mapping[str, Any], work: Callable[[], Awaitable[Json]]
    ) -> Call:
        """Return the call with the reply of ``work``, or of the work when it was made before.

        A caller that goes away does not stop it. What it refuses (``AppError``) has not begun,
        and may be made again.

        Raises:
            LostCall: it began, and the process ended before it did.
            DifferentCall: something else was asked for under the same id.
            CallNotKept: the disk does not take it.
        """
        digest = _digest(asked)
        if (known := self._working.get(call_id)) is not None:
            same, task = known[0] == digest, known[1]
            if not same:
                raise DifferentCall
        else:
            task = asyncio.create_task(self._once(call_id, digest, work))
            self._working[call_id] = digest, task
            task.add_done_callback(lambda _: self._working.pop(call_id))
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    async def _once(self, call_id: str, digest: str, work: Callable[[], Awaitable[Json]]) -> Call:
        try:
            found = await asyncio.to_thread(self._begin, call_id, digest)
        except (sqlite3.Error, OSError) as exc:
            raise CallNotKept from exc
        if found is not None:
            if found.digest != digest:
                raise DifferentCall
            if found.reply is None:
                raise LostCall
            return found
        try:
            reply = await work()
        except AppError:
            await self._note("DELETE FROM call WHERE id = ?", call_id)
            raise
        await self._note("UPDATE call SET reply = ? WHERE id = ?", json.dumps(reply), call_id)
        return Call(digest, self.boot_id, reply)

    async def _note(self, sql: str, *values: object) -> None:
        """Record how a call ended. Without, the same call made again is a lost one."""
        try:
            await asyncio.to_thread(self._write, sql, *values)
        except (sqlite3.Error, OSError) as exc:
            logger.warning("recording the end of a call failed, continuing without: %s", exc)

    async def find(self, call_id: str) -> Call:
        """Return a call that was made.

        Raises:
            UnknownCall: it was not, or long ago.
            LostCall: it began, and the process ended before it did.
        """
        if (known := self._working.get(call_id)) is not None:
            return Call(known[0], self.boot_id, None)
        found = await asyncio.to_thread(self._find, call_id)
        if found is None:
            raise UnknownCall
        if found.reply is None:
            raise LostCall
        return found

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    # On worker threads

    def _begin(self, call_id: str, digest: str) -> Call | None:
        """Record that a call begins; return it if it was made before."""
        if (found := self._find(call_id)) is not None:
            return found
        self._begun += 1
        now = time.time()
        if self._begun % PRUNE_EVERY == 1:
            self._write("DELETE FROM call WHERE began_at < ?", now - KEPT_FOR)
        self._write(
            "INSERT INTO call (id, digest, boot_id, began_at) VALUES (?, ?, ?, ?)",
            call_id,
            digest,
            self.boot_id,
            now,
        )
        return None

    def _find(self, call_id: str) -> Call | None:
        with self._lock:
            row = (
                self._opened()
                .execute("SELECT digest, boot_id, reply FROM call WHERE id = ?", (call_id,))
                .fetchone()
            )
        if row is None:
            return None
        digest, boot_id, reply = row
        return Call(digest, boot_id, None if reply is None else json.loads(reply))

    def _write(self, sql: str, *values: object) -> None:
        with self._lock:
            self._opened().execute(sql, values)

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._path.chmod(0o600)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA cache_size=-256")
            db.executescript(_SCHEMA)
            self._db = db
        return self._db


def _retrieve(task: asyncio.Task[Call]) -> None:
    """Take the task's exception, which nobody else does once its caller has gone."""
    if not task.cancelled():
        task.exception()


def _digest(asked: Mapping[str, Any]) -> str:
    text = json.dumps(asked, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
