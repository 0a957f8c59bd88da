"""The mapping of Codex's notifications to an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents.harness.answer import AnswerBuilder
from agents.harness.codex import failures
from agents.harness.codex.items import Items
from agents.harness.codex.usage import Meter
from agents.harness.lines import list_of, object_of, text_of

Params = dict[str, Any]

SOURCE = "codex"
# Characters of a diff that are kept: it comes again, whole, after each change.
DIFF_LIMIT = 200_000
# Known kinds that readers do not need.
QUIET = frozenset(
    {
        "account/rateLimits/updated",
        "account/updated",
        "app/list/updated",
        "configWarning",
        "deprecationNotice",
        "hook/completed",
        "hook/started",
        "item/commandExecution/terminalInteraction",
        "item/fileChange/outputDelta",
        "item/fileChange/patchUpdated",
        "item/mcpToolCall/progress",
        "item/plan/delta",
        "item/reasoning/summaryPartAdded",
        "mcpServer/startupStatus/updated",
        "model/verification",
        "remoteControl/status/changed",
        "skills/changed",
        "thread/closed",
        "thread/compacted",
        "thread/name/updated",
        "thread/readState/changed",
        "thread/settings/updated",
        "thread/started",
        "thread/status/changed",
        "turn/moderationMetadata",
        "turn/started",
    }
)


class Stream:
    """The notifications of one turn."""

    def __init__(self, answer: AnswerBuilder, folder: str = "") -> None:
        self.items = Items(answer, folder)
        self._answer = answer
        self._meter = Meter()
        self._diff = ""

    def take(self, method: str, params: Params) -> bool:
        """Take one notification; return whether its kind is known."""
        if handle := _HANDLERS.get(method):
            return handle(self, params) is not False
        return method in QUIET

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

    def _on_error(self, params: Params) -> None:
        """Show a retry; a final error comes with the turn's end."""
        if params.get("willRetry") is True:
            error = object_of(params, "error")
            words = text_of(error, "additionalDetails") or text_of(error, "message")
            retry = {"error": failures.words_of({"message": words})}
            self._answer.data("retry", retry, transient=True)

    def _on_warning(self, params: Params) -> None:
        notice = {"source": SOURCE, "code": "warning", "text": text_of(params, "message")}
        self._answer.data("notice", notice, transient=True)


_HANDLERS: dict[str, Callable[[Stream, Params], bool | None]] = {
    "error": Stream._on_error,
    "guardianWarning": Stream._on_warning,
    "item/agentMessage/delta": Stream._on_text,
    "item/commandExecution/outputDelta": Stream._on_output,
    "item/completed": Stream._on_completed,
    "item/reasoning/summaryTextDelta": Stream._on_summary,
    "item/reasoning/textDelta": Stream._on_reasoning,
    "item/started": Stream._on_started,
    "thread/tokenUsage/updated": Stream._on_usage,
    "turn/diff/updated": Stream._on_diff,
    "turn/plan/updated": Stream._on_plan,
    "warning": Stream._on_warning,
}
