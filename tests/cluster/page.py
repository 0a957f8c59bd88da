"""A browser's socket, from a program: follows one thread from a number."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class Page:
    """Reads in a thread of its own until its block ends, or the server is gone."""

    def __init__(self, url: str, *, session: str, thread: str, after: int = 0) -> None:
        self.seen: list[tuple[int, dict[str, Any]]] = []
        self._opened = contextlib.ExitStack()
        self._socket = self._opened.enter_context(
            connect(
                f"{url.replace('http', 'ws', 1)}/ws",
                origin="http://127.0.0.1",  # the public address, whichever server it is
                additional_headers={"Cookie": f"mesh_session={session}"},
                proxy=None,
                max_size=None,
            )
        )
        self._socket.send(json.dumps({"type": "follow", "thread": thread, "after": after}))
        self._thread = threading.Thread(target=self._read, daemon=True)

    @property
    def is_done(self) -> bool:
        return any(chunk["type"] == "finish" for _, chunk in self.seen)

    def __enter__(self) -> Page:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._opened.close()
        self._thread.join(5)

    def _read(self) -> None:
        try:
            for text in self._socket:
                frame = json.loads(text)
                if frame["type"] == "events":
                    self.seen += [(event["seq"], event["chunk"]) for event in frame["events"]]
        except ConnectionClosed:
            return
