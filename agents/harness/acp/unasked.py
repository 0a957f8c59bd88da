"""What an agent says in work that it has begun by itself, until that work has an answer."""

from __future__ import annotations

from typing import Any, Final

from agents.harness.base import Unasked
from agents.harness.lines import as_object, object_of, text_of
from agents.harness.rpc import RequestId, id_of

LIMIT: Final = 16 * 1024 * 1024  # bytes of lines that are kept
TOLD: Final = 1024 * 1024  # bytes of what sub-agents tell of their calls, before they ask
ASKS: Final = "A sub-agent in the background asks you something."


class UnaskedWork:
    """The kept lines of work that nobody asked for, with its reason. ``session`` is the agent's
    own: a sub-agent has another."""

    def __init__(self) -> None:
        self.reason = ""
        self.has_begun = False
        self._lines: list[bytes] = []
        self._size = 0
        self._is_announced = False
        self._told: dict[tuple[str, str], list[bytes]] = {}  # session and call → its lines
        self._told_size = 0

    def note(self, session: str, call: str, line: bytes) -> None:
        """Keep what a sub-agent tells of a call: it may ask about it. The oldest go first."""
        if len(line) > TOLD:
            return
        self._told.setdefault((session, call), []).append(line)
        self._told_size += len(line)
        while self._told_size > TOLD:
            self._told_size -= sum(map(len, self._told.pop(next(iter(self._told)))))

    def ask(self, session: str, call: str, line: bytes) -> None:
        """Keep a sub-agent's question, which needs an answer to be shown in."""
        self.reason = self.reason or ASKS
        lines = self._told.pop((session, call), [])
        self._told_size -= sum(map(len, lines))
        for each in (*lines, line):
            self.keep(each)

    def has_request(self, request: object) -> bool:
        """Return whether a request with this id is kept."""
        return any(_request_in(line) == request for line in self._lines)

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

    def postpone(self, session: str) -> list[RequestId]:
        """Announce it again later: another turn comes first. Returns the requests of the agent
        itself, which would wait for that turn and are dropped; its sub-agents can wait."""
        self._is_announced = False
        requests = {line: _request_in(line, session) for line in self._lines}
        self._lines = [line for line in self._lines if requests[line] is None]
        return [request for request in requests.values() if request is not None]

    def take(self) -> list[bytes]:
        """Return the lines, and keep none of them."""
        lines, self._lines, self._size = self._lines, [], 0
        return lines


def _request_in(line: bytes, session: str = "") -> RequestId | None:
    """Return the id of the request in a line; of ``session`` only, if one is given."""
    message: dict[str, Any] = as_object(line) or {}
    asks = text_of(object_of(message, "params"), "sessionId")
    return None if session and asks not in ("", session) else id_of(message)
