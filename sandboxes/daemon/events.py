"""What a sandbox tells those who look on: state, logs, scripts, tasks, branch.

Whoever comes gets what is known, in a fixed order, and then what happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mesh.lib.errors import AppError
from sandboxes.daemon.feeds import Feed, event
from sandboxes.daemon.tasks.output import RING_LIMIT, Ring
from sandboxes.daemon.tasks.task import Task

CLIENTS = 100
REPEAT_EVERY = 15.0  # seconds between two tellings of the lifecycle, whatever happens
CHANGED_AFTER = 0.3  # seconds in which changes of files are told at once

Json = dict[str, Any]


class TooManyClients(AppError):
    code = "too_many_clients"
    text = "Too many look at this sandbox's events."
    hint = "Close a page that shows it."
    status = 429


class Events:
    """The state as it was told last, and the feeds of those who look on."""

    def __init__(self) -> None:
        self.lifecycle: Json = {"state": None}
        self.status: Json = {"state": "running"}
        self.branch: Json = {"meta": {"kind": "unknown"}}
        self.scripts: Json | None = None
        self.on_reader: Callable[[], None] = lambda: None
        self.on_end_of_task: Callable[[], None] = lambda: None
        self._active: list[Json] = []
        self._logs: dict[str, Ring] = {}
        self._feeds: set[Feed] = set()
        self._count = 0
        self._repeat: asyncio.TimerHandle | None = None
        self._changed: set[str] = set()

    @property
    def has_readers(self) -> bool:
        return bool(self._feeds)

    def subscribe(self) -> Feed:
        """Return a feed that begins with what is known.

        Raises:
            TooManyClients: see there.
        """
        if len(self._feeds) >= CLIENTS:
            raise TooManyClients
        feed = Feed()
        for name, data in self._known():
            feed.put(name, data)
        self._feeds.add(feed)
        self.on_reader()
        if self._repeat is None:
            self._repeat = asyncio.get_running_loop().call_later(REPEAT_EVERY, self._tell_again)
        return feed

    def unsubscribe(self, feed: Feed) -> None:
        """Forget a feed. Safe to repeat."""
        self._feeds.discard(feed)

    def close(self) -> None:
        """End every feed."""
        for feed in list(self._feeds):
            feed.close()
        if self._repeat is not None:
            self._repeat.cancel()

    def tell_lifecycle(self, state: Json) -> None:
        self.lifecycle = {"state": state}
        self._tell("lifecycle", self.lifecycle)

    def tell_status(self, status: Json) -> None:
        if status != self.status:
            self.status = status
            self._tell("status", status)

    def tell_branch(self, meta: Json) -> None:
        if meta != self.branch["meta"]:
            self.branch = {"meta": meta}
            self._tell("branch", self.branch)

    def tell_scripts(self, names: list[str]) -> None:
        if (scripts := {"scripts": names}) != self.scripts:
            self.scripts = scripts
            self._tell("scripts", scripts)

    def tell_reload(self) -> None:
        self._tell("reload", {})

    def tell_changed(self, path: str) -> None:
        """Tell that a file was changed by a tool: soon, and once for many changes."""
        if not self._changed:
            asyncio.get_running_loop().call_later(CHANGED_AFTER, self._tell_changed)
        self._changed.add(path)

    def log(self, source: str, text: str) -> None:
        """Add to what a source has said."""
        self._count += 1
        self._logs.setdefault(source, Ring(RING_LIMIT)).add(self._count, text)
        self._tell("log", {"source": source, "data": text})

    # Tasks' listener: those that are of the setup or a script are told, commands are not

    def on_task(self, task: Task) -> None:
        if task.status == "running":
            self._active.append(_told(task))
        else:
            self._active = [told for told in self._active if told["id"] != task.id]
            if self._feeds:
                self.on_end_of_task()
        self._tell("tasks", {"active": self._active})

    def on_task_output(self, task: Task, stream: str, text: str) -> None:
        if task.wanted.is_logged:
            self.log(task.wanted.name, text)

    def _known(self) -> list[tuple[str, Json]]:
        logs = [
            ("log", {"source": source, "data": ring.text}) for source, ring in self._logs.items()
        ]
        scripts = [("scripts", self.scripts)] if self.scripts is not None else []
        return [
            ("lifecycle", self.lifecycle),
            *logs,
            *scripts,
            ("tasks", {"active": self._active}),
            ("status", self.status),
            ("branch", self.branch),
        ]

    def _tell(self, name: str, data: Json) -> None:
        if self._feeds:
            block = event(name, data)
            for feed in list(self._feeds):
                feed.put_raw(block)

    def _tell_again(self) -> None:
        self._repeat = None
        if self._feeds:
            self._tell("lifecycle", self.lifecycle)
            self._repeat = asyncio.get_running_loop().call_later(REPEAT_EVERY, self._tell_again)

    def _tell_changed(self) -> None:
        for path in sorted(self._changed):
            self._tell("file-changed", {"path": path})
        self._changed.clear()


def _told(task: Task) -> Json:
    told: Json = {"id": task.id, "command": task.wanted.command}
    if task.wanted.is_logged:
        told["logName"] = task.wanted.name
    return told
