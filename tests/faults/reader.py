"""A program that reads a thread's stream and comes back with its number, whatever breaks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from tests.waiting import PATIENCE


class Reader:
    """Reads in a thread of its own until ``until`` finishes have passed."""

    def __init__(self, url: Callable[[], str], *, token: str, thread: str, finishes: int = 1):
        self.seen: list[tuple[int, dict[str, Any]]] = []
        self.deltas = self.returns = 0
        self._url, self._token, self._thread_id = url, token, thread
        self._finishes = finishes
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    @property
    def last(self) -> int:
        return self.seen[-1][0] if self.seen else 0

    @property
    def is_done(self) -> bool:
        return sum(chunk["type"] == "finish" for _, chunk in self.seen) >= self._finishes

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._leaving.set()

    def _read(self) -> None:
        while not self.is_done and not self._leaving.is_set():
            try:
                self._read_once()
            except httpx.HTTPError:
                self.returns += 1
                self._leaving.wait(0.1)

    def _read_once(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "Last-Event-ID": str(self.last)}
        url = f"{self._url()}/api/home/decopilot/threads/{self._thread_id}/stream"
        seq = 0
        with httpx.stream("GET", url, headers=headers, timeout=PATIENCE, trust_env=False) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line.startswith("id: "):
                    seq = int(line[4:])
                elif line.startswith("data: "):
                    chunk = json.loads(line[6:])
                    self.seen.append((seq, chunk))
                    self.deltas += chunk["type"] in ("text-delta", "reasoning-delta")
                    if self.is_done or self._leaving.is_set():
                        return


def parts_of(chunks: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the texts and thoughts that these chunks make, (kind, text), in their order."""
    parts: dict[str, tuple[str, str]] = {}
    for chunk in chunks:
        if chunk["type"] in ("text-delta", "reasoning-delta"):
            kind, text = parts.get(chunk["id"], (chunk["type"].removesuffix("-delta"), ""))
            parts[chunk["id"]] = (kind, text + chunk["delta"])
    return list(parts.values())


def assert_whole(seen: list[tuple[int, dict[str, Any]]], said: list[tuple[str, str]]) -> None:
    """Every event came once and in order, and together they are what the agent said."""
    assert [seq for seq, _ in seen] == list(range(1, len(seen) + 1))
    assert parts_of(chunk for _, chunk in seen) == said
