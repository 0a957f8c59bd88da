"""What an agent says in work that it has begun by itself, until that work has an answer."""

from __future__ import annotations

from typing import Any, Final

from agents.harness.base import Unasked
from agents.harness.lines import as_object
from agents.harness.rpc import RequestId, id_of

LIMIT: Final = 16 * 1024 * 1024  # bytes of lines that are kept


class UnaskedWork:
    """The kept lines of work that nobody asked for, with its reason."""

    def __init__(self) -> None:
        self.reason = ""
        self.has_begun = False
        self._lines: list[bytes] = []
        self._size = 0
        self._is_announced = False

    def keep(self, line: bytes, *, is_state: bool = False) -> None:
        """Keep a line, as long as there is room; one with a state in any case, for the end."""
        self.has_begun = True
        if is_state or self._size + len(line) <= LIMIT:
            self._lines.append(line)
            self._size += len(line)

    def announce(self) -> list[Unasked]:
        """Return the output that asks for an answer, once."""
        if not self.has_begun or self._is_announced:
            return []
        self._is_announced = True
        return [Unasked(self.reason)]

    def postpone(self) -> list[RequestId]:
        """Announce it again later: another turn comes first. Returns the agent's requests, which
        can't wait so long and are dropped."""
        self._is_announced = False
        requests = {line: _request_in(line) for line in self._lines}
        self._lines = [line for line in self._lines if requests[line] is None]
        return [request for request in requests.values() if request is not None]

    def take(self) -> list[bytes]:
        """Return the lines, and keep none of them."""
        lines, self._lines, self._size = self._lines, [], 0
        return lines


def _request_in(line: bytes) -> RequestId | None:
    message: dict[str, Any] = as_object(line) or {}
    return id_of(message)
