"""Sub-agents, which in version 2 have sessions of their own: each is a call of the answer."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Final

from agents.harness.acp.content import words_in
from agents.harness.acp.stream import Stream
from agents.harness.answer import AnswerBuilder
from agents.harness.lines import object_of, text_of

Update = dict[str, Any]

NAME: Final = "Agent"
MOST: Final = 100  # sub-agents of one turn
LONGEST: Final = 100_000  # characters of a report
WORKS_ON: Final = "It works on in the background."
# What of its session is part of the answer: its calls, not its words.
_SHOWN: Final = frozenset(
    {
        "terminal_output_chunk",
        "terminal_update",
        "tool_call",
        "tool_call_content_chunk",
        "tool_call_update",
    }
)
_WORDS: Final = frozenset({"agent_message", "agent_message_chunk"})
_FAILED: Final = {"error": "Failed.", "cancelled": "Cancelled."}


@dataclass(slots=True)
class _Child:
    stream: Stream
    title: str
    parent: str = ""
    is_shown: bool = False
    message: str = ""  # the id of its newest message
    report: list[str] = field(default_factory=list)


class Subagents:
    """Those of one turn. ``make_stream`` returns a stream whose calls are below a call."""

    def __init__(self, answer: AnswerBuilder, make_stream: Callable[[str], Stream]) -> None:
        self._answer, self._make_stream = answer, make_stream
        self._children: dict[str, _Child] = {}

    @property
    def calls(self) -> list[str]:
        """The ids of the calls of all of them, and of their own."""
        own = [call for child in self._children.values() for call in child.stream.calls]
        return [*self._children, *own]

    @property
    def streams(self) -> list[Stream]:
        return [child.stream for child in self._children.values()]

    def stream_of(self, session: str) -> Stream | None:
        """Return where the calls of a sub-agent's session go; ``None`` for any other session."""
        child = self._children.get(session)
        if child is not None:
            self._show(session, child)
        return child.stream if child else None

    def announce(self, session: str, title: str, *, parent: str = "") -> None:
        """Take it that a session is a sub-agent's; a known one changes nothing."""
        if session and session not in self._children and len(self._children) < MOST:
            self._children[session] = _Child(self._make_stream(session), title, parent)

    def take(self, session: str, update: Update) -> None:
        """Take an update of a session about its sub-agents, or of a sub-agent's own session."""
        kind, child = text_of(update, "sessionUpdate"), self._children.get(session)
        if kind == "subagent_update":
            own = text_of(update, "sessionId")
            parent = session if child else ""
            self.announce(own, text_of(update, "title"), parent=parent)
            self._note_state(own, object_of(update, "state"))
        elif kind == "session_message":
            told = text_of(update, "recipientSessionId")
            if told in self._children:
                self._show(told, self._children[told], words_in(update))
        elif child and kind in _WORDS:
            self._note_words(child, update)
        elif child and kind in _SHOWN:
            self._show(session, child)
            child.stream.take(update)

    def finish(self, undecided: Collection[str]) -> None:
        """End the calls of those that have not ended, and those that they have made."""
        for session, child in self._children.items():
            child.stream.finish(undecided)
            self._show(session, child)
            self._answer.result(session, WORKS_ON)

    def _show(self, session: str, child: _Child, prompt: str = "") -> None:
        if child.is_shown:
            return
        child.is_shown = True
        if parent := self._children.get(child.parent):
            self._show(child.parent, parent)
        given = {"description": child.title} | ({"prompt": prompt} if prompt else {})
        self._answer.call_input(session, NAME, given, parent=child.parent)

    def _note_words(self, child: _Child, update: Update) -> None:
        message = text_of(update, "messageId")
        if message != child.message or text_of(update, "sessionUpdate") == "agent_message":
            child.message, child.report = message, []
        if sum(map(len, child.report)) < LONGEST:
            child.report.append(words_in(update)[:LONGEST])

    def _note_state(self, session: str, state: Update) -> None:
        child = self._children.get(session)
        if child is None or text_of(state, "state") != "idle":
            return
        self._show(session, child)
        report = "".join(child.report)
        if failed := _FAILED.get(text_of(state, "stopReason")):
            self._answer.call_failed(session, report or failed)
        else:
            self._answer.result(session, report)
