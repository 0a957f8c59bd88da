"""What an agent says in the model's name: that it asks again, and that it failed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from agents.harness.acp import failures
from agents.harness.acp.agents import Agent
from agents.harness.acp.stream import Stream
from agents.harness.answer import AnswerBuilder
from agents.harness.codex.failures import retry_of
from agents.harness.failures import Facts
from agents.harness.lines import object_of, text_of

Update = dict[str, Any]

# An extension of Mistral Vibe.
RETRYING = "_session/retrying"
REPEATED = (
    "The provider's answer broke off, so {title} asked again: what was said above is repeated."
)
_STATUS = re.compile(r"HTTP ([45]\d\d)", re.ASCII)
# A turn goes on with one of these.
_CONTENT = frozenset(
    {"agent_message_chunk", "agent_thought_chunk", "tool_call", "tool_call_update"}
)


class Endings:
    """The retries and the failure of one turn, as far as they come as text.

    A text that looks like a failure is held until the next update: it is one only if the turn
    ends with it.
    """

    def __init__(
        self,
        agent: Agent,
        answer: AnswerBuilder,
        stream: Stream,
        find_facts: Callable[[], Facts],
    ) -> None:
        self._agent, self._answer, self._stream = agent, answer, stream
        self._find_facts = find_facts
        self._held: Update | None = None
        self._is_broken = False
        self._retries = 0
        self._is_repeated = False
        self.said = ""  # the newest text

    def take(self, update: Update) -> bool:
        """Take an update; return whether it is not to be shown as the model's words."""
        kind, text = text_of(update, "sessionUpdate"), text_of(object_of(update, "content"), "text")
        if kind == "session_info_update":
            self._see_codex(object_of(object_of(update, "_meta"), "codex"))
        if kind not in _CONTENT:
            return False
        self.release()
        if kind != "agent_message_chunk":
            self.said = ""
            return False
        if failures.is_retry(self._agent, text):
            self._retries += 1
            self._answer.retry(attempt=self._retries)
            if self._stream.break_off() and not self._is_repeated:
                self._is_repeated = True
                self._notice("repeated", REPEATED.format(title=self._agent.title))
            return True
        if warning := failures.warning_in(self._agent, text):
            self._notice("warning", warning)
            return True
        self.said = text
        if self.failure() is not None:
            self._held = update
        return self._held is not None

    def _notice(self, code: str, text: str) -> None:
        self._answer.data("notice", {"source": self._agent.kind, "code": code, "text": text})

    def retry(self, params: Update) -> None:
        """Take a notification that the provider is asked again."""
        self._retries += 1
        found = _STATUS.search(text_of(params, "detail"))
        self._answer.retry(
            attempt=self._retries,
            status=int(found[1]) if found else None,
            reason=text_of(params, "category") or text_of(params, "detail"),
        )

    def _see_codex(self, told: Update) -> None:
        """Take what codex-acp tells of Codex beside the answer."""
        if status := text_of(object_of(told, "threadStatus"), "type"):
            self._is_broken = status == "systemError"
        error = object_of(told, "error")
        if error.get("willRetry") is True:
            self._answer.retry(**retry_of(error))

    def failure(self) -> tuple[str, str] | None:
        """Return code and sentence of the failure that the turn ends with, if it does."""
        return failures.failure_in(
            self._agent, self._find_facts(), self.said, is_broken=self._is_broken
        )

    def release(self) -> None:
        """Show the text that was held: it was no failure."""
        held, self._held = self._held, None
        if held is not None:
            self._stream.take(held)
