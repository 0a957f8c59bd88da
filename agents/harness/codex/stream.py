"""The mapping of Codex's notifications to an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents.harness.answer import AnswerBuilder
from agents.harness.codex.items import Items
from agents.harness.codex.usage import Meter
from agents.harness.lines import list_of, object_of, text_of

Params = dict[str, Any]

# Characters of a diff that are kept: it comes again, whole, after each change.
DIFF_LIMIT = 200_000


class Stream:
    """The notifications of one turn."""

    def __init__(
        self, answer: AnswerBuilder, folder: str = "", *, meter: Meter | None = None
    ) -> None:
        self.items = Items(answer, folder)
        self._answer = answer
        self._meter = meter or Meter()
        self._diff = ""

    def take(self, method: str, params: Params) -> bool:
        """Take one notification; return whether it was understood.

        Of a kind that is not known, there is nothing to understand: each version of Codex has
        new ones, about its own affairs.
        """
        handle = _HANDLERS.get(method)
        return handle is None or handle(self, params) is not False

    def usage(self) -> dict[str, Any]:
        """Return the turn's usage so far; empty if none was reported."""
        return self._meter.usage()

    # One method for each kind of notification; ``False`` means that it was not understood

    def _on_started(self, params: Params) -> bool:
        return self.items.started(object_of(params, "item"))

    def _on_completed(self, params: Params) -> bool:
        return self.items.completed(object_of(params, "item"))

    def _on_text(self, params: Params) -> None:
        self.items.text(text_of(params, "itemId"), text_of(params, "delta"))

    def _on_summary(self, params: Params) -> None:
        index, delta = params.get("summaryIndex", 0), text_of(params, "delta")
        self.items.reasoning(text_of(params, "itemId"), index, delta)

    def _on_reasoning(self, params: Params) -> None:
        index, delta = f"raw:{params.get('contentIndex', 0)}", text_of(params, "delta")
        self.items.reasoning(text_of(params, "itemId"), index, delta)

    def _on_output(self, params: Params) -> None:
        self.items.output(text_of(params, "itemId"), text_of(params, "delta"))

    def _on_plan(self, params: Params) -> None:
        todos = [
            {"text": text_of(step, "step"), "status": text_of(step, "status")}
            for step in list_of(params, "plan")
        ]
        self._answer.todos(todos)

    def _on_diff(self, params: Params) -> None:
        diff = text_of(params, "diff")
        if diff == self._diff:
            return
        self._diff = diff
        shown = {"diff": diff[:DIFF_LIMIT]} | ({"cut": True} if len(diff) > DIFF_LIMIT else {})
        self._answer.data("diff", shown, part_id="diff")

    def _on_usage(self, params: Params) -> None:
        self._meter.add(object_of(params, "tokenUsage"))
        self.items.answered()


_HANDLERS: dict[str, Callable[[Stream, Params], bool | None]] = {
    "item/agentMessage/delta": Stream._on_text,
    "item/commandExecution/outputDelta": Stream._on_output,
    "item/completed": Stream._on_completed,
    "item/reasoning/summaryTextDelta": Stream._on_summary,
    "item/reasoning/textDelta": Stream._on_reasoning,
    "item/started": Stream._on_started,
    "thread/tokenUsage/updated": Stream._on_usage,
    "turn/diff/updated": Stream._on_diff,
    "turn/plan/updated": Stream._on_plan,
}
