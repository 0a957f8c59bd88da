"""JSON-RPC over lines, as coding agents speak it: requests, notifications and responses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agents.harness.base import Write

METHOD_NOT_FOUND = -32601

# The id of a request: a number or a string, returned unchanged.
RequestId = int | str


class Rpc:
    """Our side of a connection: numbers our requests, and remembers the method of each."""

    def __init__(self, head: Mapping[str, str] | None = None) -> None:
        self._head = dict(head or {})
        self._requests = 0
        self._open: dict[RequestId, str] = {}

    @property
    def newest(self) -> RequestId:
        """The id of our newest request."""
        return self._requests

    def request(self, method: str, params: dict[str, Any]) -> Write:
        self._requests += 1
        self._open[self._requests] = method
        return self._line({"id": self._requests, "method": method, "params": params})

    def notify(self, method: str, params: dict[str, Any]) -> Write:
        return self._line({"method": method, "params": params})

    def respond(self, request_id: RequestId, result: Any) -> Write:
        """Respond to a request of the program."""
        return self._line({"id": request_id, "result": result})

    def refuse(self, request_id: RequestId, message: str, *, code: int = METHOD_NOT_FOUND) -> Write:
        """Refuse a request of the program, so that it does not wait for us."""
        return self._line({"id": request_id, "error": {"code": code, "message": message}})

    def take(self, message: dict[str, Any]) -> str:
        """Return the method of our request that ``message`` answers, once; otherwise empty."""
        request_id = message.get("id")
        if "method" in message or not isinstance(request_id, int | str):
            return ""
        return self._open.pop(request_id, "")

    def forget(self) -> None:
        """Drop the open requests: the program has exited, and its successor answers none."""
        self._open.clear()

    def _line(self, value: dict[str, Any]) -> Write:
        return Write(json.dumps({**self._head, **value}).encode())


def id_of(message: dict[str, Any]) -> RequestId | None:
    """Return the id of a request of the program; ``None`` if ``message`` is not one."""
    request_id = message.get("id")
    is_id = isinstance(request_id, int | str) and not isinstance(request_id, bool)
    return request_id if is_id and isinstance(message.get("method"), str) else None
