"""A browser's socket, from a program: follows one thread from a number."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Sequence
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class Page:
    """Reads in a thread of its own until its block ends, or the server is gone."""

    def __init__(
        self,
        url: str,
        *,
        session: str,
        thread: str,
        after: int = 0,
        before: Sequence[tuple[int, dict[str, Any]]] = (),  # what an earlier one has seen
        origin: str = "http://127.0.0.1",  # the public address, whichever server it is
    ) -> None:
        self.seen: list[tuple[int, dict[str, Any]]] = list(before)
        self.code = 0  # with which the server closed it
        self._opened = contextlib.ExitStack()
        self._socket = self._opened.enter_context(
            connect(
                f"{url.replace('http', 'ws', 1)}/ws",
                origin=origin,
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
            while True:
                text = self._socket.recv()
                frame = json.loads(text)
                if frame["type"] == "events":
                    self.seen += [(event["seq"], event["chunk"]) for event in frame["events"]]
        except ConnectionClosed as exc:
            self.code = exc.rcvd.code if exc.rcvd else 1006
