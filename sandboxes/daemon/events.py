"""The events that a sandbox publishes to observers: state, logs, scripts, tasks, branch.

A new reader gets a snapshot in a fixed order, and then every change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mesh.lib.errors import AppError
from mesh.lib.quoted_names import quote
from sandboxes.daemon.feeds import Feed, event
from sandboxes.daemon.tasks.output import RING_LIMIT, Ring
from sandboxes.daemon.tasks.task import Task

CLIENTS = 100
REPEAT_EVERY = 15.0  # seconds between two repeats of the lifecycle event
CHANGED_AFTER = 0.3  # seconds during which file changes are collected

Json = dict[str, Any]


class TooManyClients(AppError):
    code = "too_many_clients"
    text = "Too many pages are reading this sandbox's events."
    hint = "Close a page that shows this sandbox."
    status = 429


class Events:
    """The last published state, and the feeds of its readers."""

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
        """Return a feed that starts with a snapshot.

        Raises:
            TooManyClients: ``CLIENTS`` feeds are open.
        """
        if len(self._feeds) >= CLIENTS:
            raise TooManyClients
        feed = Feed()
        for name, data in self._snapshot():
            feed.put(name, data)
        self._feeds.add(feed)
        self.on_reader()
        if self._repeat is None:
            self._repeat = asyncio.get_running_loop().call_later(
                REPEAT_EVERY, self._repeat_lifecycle
            )
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

    def publish_lifecycle(self, state: Json) -> None:
        self.lifecycle = {"state": state}
        self._publish("lifecycle", self.lifecycle)

    def publish_status(self, status: Json) -> None:
        if status != self.status:
            self.status = status
            self._publish("status", status)

    def publish_branch(self, meta: Json) -> None:
        if meta != self.branch["meta"]:
            self.branch = {"meta": meta}
            self._publish("branch", self.branch)

    def publish_scripts(self, names: list[str]) -> None:
        if (scripts := {"scripts": names}) != self.scripts:
            self.scripts = scripts
            self._publish("scripts", scripts)

    def publish_reload(self) -> None:
        self._publish("reload", {})

    def publish_changed(self, path: str) -> None:
        """Publish that a tool changed a file: after a short delay, together with other changes."""
        if not self._changed:
            asyncio.get_running_loop().call_later(CHANGED_AFTER, self._publish_changed)
        self._changed.add(path)

    def log(self, source: str, text: str) -> None:
        """Add to the log of a source."""
        self._count += 1
        self._logs.setdefault(source, Ring(RING_LIMIT)).add(self._count, text)
        self._publish("log", {"source": source, "data": text})

    # TaskListener. Output of the setup and of scripts is published, output of commands is not.

    def on_task(self, task: Task) -> None:
        if task.status == "running":
            self._active.append(_as_json(task))
        else:
            self._active = [active for active in self._active if active["id"] != task.id]
            if self._feeds:
                self.on_end_of_task()
        self._publish("tasks", {"active": self._active})

    def on_task_output(self, task: Task, stream: str, text: str) -> None:
        if task.spec.is_logged:
            self.log(task.spec.name, text)

    def _snapshot(self) -> list[tuple[str, Json]]:
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

    def _publish(self, name: str, data: Json) -> None:
        if self._feeds:
            block = event(name, data)
            for feed in list(self._feeds):
                feed.put_raw(block)

    def _repeat_lifecycle(self) -> None:
        self._repeat = None
        if self._feeds:
            self._publish("lifecycle", self.lifecycle)
            self._repeat = asyncio.get_running_loop().call_later(
                REPEAT_EVERY, self._repeat_lifecycle
            )

    def _publish_changed(self) -> None:
        for path in sorted(self._changed):
            self._publish("file-changed", {"path": quote(path)})
        self._changed.clear()


def _as_json(task: Task) -> Json:
    value: Json = {"id": task.id, "command": task.spec.command}
    if task.spec.is_logged:
        value["logName"] = task.spec.name
    return value
