"""What the program says in a turn that it has begun by itself, until that turn has an answer.

It begins one when something in the background has ended. That may happen between two turns of
ours, or just before it reads our next message.
"""

from __future__ import annotations

from typing import Any

from agents.harness.base import Unasked
from agents.harness.lines import text_of

LIMIT = 16 * 1024 * 1024  # bytes of lines that are kept
ASKS = "A sub-agent in the background asks for your permission."


class UnaskedTurn:
    """The kept lines of a turn that nobody asked for, with its reason."""

    def __init__(self) -> None:
        self.reason = ""
        self.has_begun = False
        self.is_cut = False  # our message was read in the middle of it: the rest is our turn's
        self.is_question = False  # a sub-agent only asks for a permission
        self._lines: list[bytes] = []
        self._size = 0
        self._is_announced = False

    def note(self, message: dict[str, Any], title: str) -> None:
        """Take what has ended in the background as the reason for a turn that has not begun; a
        sub-agent's report, which its turn repeats, is no reason."""
        if self.has_begun or not (summary := text_of(message, "summary")):
            return
        is_report = message.get("summary_is_report") is True
        self.reason = f"The sub-agent “{title}” has ended." if is_report else summary

    def ask(self, line: bytes) -> None:
        """Keep a sub-agent's question, which needs an answer to be shown in."""
        if not self.has_begun:
            self._lines, self._size = [], 0
            self.has_begun = self.is_question = True
            self.reason = ASKS
        self.keep({}, line)

    def keep(self, message: dict[str, Any], line: bytes) -> None:
        """Keep a line; a turn has begun once the program asks its model."""
        if text_of(message, "subtype") == "init" and not self.has_begun:
            self._lines, self._size = [], 0
        if is_request(message):
            self.has_begun, self.is_question = True, False
        if self._size + len(line) <= LIMIT:
            self._lines.append(line)
            self._size += len(line)

    def cut(self) -> None:
        """Note that the turn, if there is one, has become ours."""
        self.is_cut = self.has_begun

    def announce(self) -> list[Unasked]:
        """Return the output that asks for an answer, once for a turn."""
        if not self.has_begun or self._is_announced:
            return []
        self._is_announced = True
        return [Unasked(self.reason)]

    def postpone(self) -> None:
        """Announce it again later: another turn came first."""
        self._is_announced = False

    def take(self) -> list[bytes]:
        """Return the lines, and keep none of them."""
        lines = self._lines
        self._lines, self._size = [], 0
        return lines


def is_request(message: dict[str, Any]) -> bool:
    """Return whether the line says that the program asks its model something."""
    return text_of(message, "subtype") == "status" and text_of(message, "status") == "requesting"
