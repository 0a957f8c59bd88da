"""The mapping of a session's updates to an answer."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from agents.harness.acp.calls import Call
from agents.harness.acp.content import Room, Terminal, words_in
from agents.harness.acp.permissions import READ_ONLY
from agents.harness.answer import AnswerBuilder
from agents.harness.lines import list_of, object_of, text_of

Update = dict[str, Any]
Notice = tuple[str, str]  # code and text

# Known kinds that readers do not need here: ``session`` keeps some of them.
QUIET = frozenset(
    {
        "available_commands_update",
        "compaction_summary_chunk",
        "config_option_update",
        "current_mode_update",
        "session_info_update",
        "session_message",
        "session_message_chunk",
        "state_update",
        "subagent_update",
        "usage_update",
        "user_message",
        "user_message_chunk",
    }
)
_ENDS = ("completed", "failed", "cancelled")
REPLACED: Final = "The agent has replaced what it said above: the last version counts."
UNREPORTED: Final = "The agent did not report its output."
_NOTICES: Final = {"error": "error", "warning": "warning"}


class Stream:
    """The updates of one turn. ``past`` are the calls of earlier turns: what comes late for one of
    them is not part of this answer. ``asks``: a call that is more than reading needs a question.
    ``parent`` is the call that makes these; with the stream of that one it shares ``unasked``, the
    calls that ran without a question."""

    def __init__(
        self,
        answer: AnswerBuilder,
        folder: str = "",
        past: Collection[str] = (),
        *,
        asks: bool = False,
        parent: str = "",
        unasked: set[str] | None = None,
    ) -> None:
        self._answer = answer
        self._folder = folder
        self._past = past
        self._asks = asks
        self._asked: set[str] = set()
        self._withdrawn: set[str] = set()  # calls that the agent no longer asks about
        self._parent = parent
        self.unasked = set() if unasked is None else unasked
        self._calls: dict[str, Call] = {}
        self._terminals: dict[str, Terminal] = {}
        self._room = Room()
        self._shown_by: dict[str, str] = {}  # terminal → the call that shows it
        self._said: dict[tuple[str, str], list[str]] = {}  # kind and message id → its pieces
        self._part = ("", "", "")  # kind, message id and part id of the open part
        self._parts = 0
        self.is_interrupted = False
        self._is_answered = False  # a tool has ended: the next text starts another step
        self._notices: list[Notice] = []

    @property
    def calls(self) -> Collection[str]:
        """The ids of the turn's calls."""
        return self._calls.keys()

    def take(self, update: Update) -> bool:
        """Take one update; return whether its kind is known, or of no interest to anybody here."""
        kind = text_of(update, "sessionUpdate")
        if handle := _HANDLERS.get(kind):
            handle(self, update)
        return handle is not None or kind in QUIET or kind.startswith("_")

    def take_notices(self) -> list[Notice]:
        """Return what a person should know, since the last time."""
        notices, self._notices = self._notices, []
        return notices

    def call(self, update: Update, *, is_allowed: bool = False) -> tuple[str, Call]:
        """Merge an update into its call, which may be new; return its id and the call.

        ``is_allowed``: the call runs next, so it is shown with what is known of it. One without an
        id is not shown.
        """
        call_id = text_of(update, "toolCallId")
        if not call_id:
            call = Call(self._folder)
            call.update(update)
            return "", call
        call = self._calls.setdefault(call_id, Call(self._folder, self._terminals))
        call.update(update)
        if call.is_shown:
            return call_id, call
        if call.has_input or is_allowed:
            self._show(call_id, call)
        elif call.is_named and not self._answer.has_call(call_id):
            self._close_part()
            name = call.announce()
            self._answer.call(call_id, name, title=call.title, parent=self._parent)
        return call_id, call

    def show(self, call_id: str) -> None:
        """Show a call that may run now, although its input may not be known."""
        if (call := self._calls.get(call_id)) and not call.is_shown:
            self._show(call_id, call)

    def note_question(self, call_id: str) -> None:
        """Note that the agent asked whether the call may run."""
        self._asked.add(call_id)

    def withdraw(self, call_id: str) -> None:
        """Note that the agent no longer asks: the call has not run, unless more is told of it."""
        self._asked.discard(call_id)
        self._withdrawn.add(call_id)

    def _note_run(self, call_id: str, call: Call) -> None:
        """Mark a call that ran, if it should have been asked about and was not."""
        is_settled = call_id in self._asked or call_id in self.unasked
        if self._asks and not is_settled and (call.changes or call.kind not in READ_ONLY):
            self.unasked.add(call_id)
            self._answer.ran_unasked(call_id)

    def finish(self, undecided: Collection[str]) -> None:
        """End the calls whose end was not reported; ``undecided`` are those that still ask."""
        for call_id, call in self._calls.items():
            if not call.is_shown:
                self._show(call_id, call)
            is_open = call_id in self._withdrawn and call.status in ("", "pending")
            if is_open or call_id in undecided:
                self._answer.leave_call(call_id)
            elif failure := call.failure:
                self._answer.call_failed(call_id, failure)
            else:
                if not self._answer.is_ended_call(call_id):
                    self._note_run(call_id, call)
                self._answer.result(call_id, call.text or UNREPORTED, pictures=call.pictures)

    def _show(self, call_id: str, call: Call) -> None:
        call.is_shown = True
        self._close_part()
        name = call.announce()
        self._answer.call_input(call_id, name, call.input, title=call.title, parent=self._parent)

    # One method for each kind of update

    def _on_text(self, update: Update) -> None:
        self._grow("text", text_of(update, "messageId"), words_in(update))

    def _on_thought(self, update: Update) -> None:
        self._grow("reasoning", text_of(update, "messageId"), words_in(update))

    def _on_whole_text(self, update: Update) -> None:
        self._take_whole("text", update)

    def _on_whole_thought(self, update: Update) -> None:
        self._take_whole("reasoning", update)

    def _take_whole(self, kind: str, update: Update) -> None:
        """Take a whole message, of which nothing, a part or other words may have been told."""
        whole, message = words_in(update), text_of(update, "messageId")
        said = "".join(self._said.get((kind, message), []))
        if said and whole and not whole.startswith(said):
            self._notices.append(("replaced", REPLACED))
            said = ""
            self._close_part()
        if whole:
            self._grow(kind, message, whole.removeprefix(said))
            self._said[kind, message] = [whole]

    def _grow(self, kind: str, message: str, text: str) -> None:
        if not text:
            return
        self._said.setdefault((kind, message), []).append(text)
        if self._part[:2] != (kind, message) or self._is_answered:
            self._close_part()
            self._parts += 1
            self._part = (kind, message, f"{self._answer.message_id}:{self._parts}")
        if self._is_answered:
            self._is_answered = False
            self._show_announced()
            self._answer.step()
        self._answer.grow(kind, self._part[2], text)

    def break_off(self) -> bool:
        """End the text or thought that is being said; return whether there was one."""
        is_open = bool(self._part[2])
        self._close_part()
        return is_open

    def _close_part(self) -> None:
        self._answer.close(self._part[2])
        self._part = ("", "", "")

    def _show_announced(self) -> None:
        """Show what was announced: a step ends the calls whose input is not complete."""
        for call_id, call in self._calls.items():
            if not call.is_shown and self._answer.has_call(call_id):
                self._show(call_id, call)

    def _is_past(self, call_id: str) -> bool:
        """Return whether a call is of an earlier turn; not if the agent asks about it in this."""
        return call_id in self._past and call_id not in self._asked | self._withdrawn

    def _on_call(self, update: Update) -> None:
        if self._is_past(text_of(update, "toolCallId")):
            return
        call_id, call = self.call(update)
        self._shown_by |= dict.fromkeys(call.terminal_ids, call_id)
        shown = call.add_output(update)
        if call.status in _ENDS:
            self._end(call_id, call)
            return
        if shown is None and ("content" in update or "rawOutput" in update):
            shown = call.output.replace(call.text)
        self._publish(call_id, shown)

    def _publish(self, call_id: str, output: str | None) -> None:
        """Publish what a call has put out so far, if there is something new."""
        if output is not None and (call := self._calls.get(call_id)):
            self.show(call_id)  # it runs, whatever its status says
            self._note_run(call_id, call)
            self._answer.result(call_id, output, is_preliminary=True)

    def _on_content(self, update: Update) -> None:
        call_id, block = text_of(update, "toolCallId"), object_of(update, "content")
        if self._is_past(call_id) or not call_id:
            return
        call = self._calls.get(call_id) or self.call({"toolCallId": call_id})[1]
        if terminal := text_of(block, "terminalId"):
            self._shown_by[terminal] = call_id
        self._publish(call_id, call.add_content(block))

    def _on_terminal(self, update: Update) -> None:
        """Take what an agent's own terminal has put out, or its end; it may precede its call."""
        terminal_id = text_of(update, "terminalId")
        terminal = self._terminals.setdefault(terminal_id, Terminal(self._room))
        call_id = self._shown_by.get(terminal_id, "")
        call = self._calls.get(call_id)
        if "output" in update:
            terminal.replace(text_of(object_of(update, "output"), "data"))
            if call and terminal.text:
                self._publish(call_id, call.output.replace(terminal.text))
        elif (piece := terminal.add_bytes(text_of(update, "data"))) and call:
            self._publish(call_id, call.output.add(piece))
        if ended := object_of(update, "exitStatus"):
            terminal.end(ended.get("exitCode"), text_of(ended, "signal"))

    def _end(self, call_id: str, call: Call) -> None:
        self._is_answered = True
        if call.status == "completed" or call.exit_code is not None:
            self._note_run(call_id, call)  # one that the agent itself refused fails without a code
        if self.is_interrupted and call.exit_code != 0:
            # Gemini and opencode call a stopped one completed, Qwen a completed one discarded.
            self._answer.call_failed(call_id, call.text)
        elif failure := call.failure:
            self._answer.call_failed(call_id, failure)
        else:
            self._answer.result(call_id, call.text, pictures=call.pictures)

    def _on_plan(self, update: Update) -> None:
        todos = [
            {"text": text_of(entry, "content"), "status": text_of(entry, "status")}
            for entry in list_of(update, "entries")
        ]
        self._answer.todos(todos)

    def _on_plan_update(self, update: Update) -> None:
        plan = object_of(update, "plan")
        kind = text_of(plan, "type")
        if kind == "items":
            self._on_plan(plan)
        elif kind == "markdown":
            self._answer.plan(text_of(plan, "content"))
        elif kind == "file":
            self._answer.plan(f"The plan is in {text_of(plan, 'uri')}")

    def _on_plan_removed(self, update: Update) -> None:
        self._answer.todos([])

    def _on_notice(self, update: Update) -> None:
        texts = [text_of(update, "title"), text_of(update, "description")]
        code = _NOTICES.get(text_of(update, "severity"), "notice")
        if text := "\n".join(each for each in texts if each):
            self._notices.append((code, text))

    def _on_compaction(self, update: Update) -> None:
        status = text_of(update, "status")
        if status == "completed":
            self._notices.append(("compacted", "The conversation was shortened."))
        elif status == "failed":
            why = text_of(update, "error")
            said = why or "The conversation could not be shortened."
            self._notices.append(("compact_failed", said))


_HANDLERS: dict[str, Callable[[Stream, Update], None]] = {
    "agent_message": Stream._on_whole_text,
    "agent_message_chunk": Stream._on_text,
    "agent_thought": Stream._on_whole_thought,
    "agent_thought_chunk": Stream._on_thought,
    "compaction_update": Stream._on_compaction,
    "notice": Stream._on_notice,
    "plan": Stream._on_plan,
    "plan_removed": Stream._on_plan_removed,
    "plan_update": Stream._on_plan_update,
    "terminal_output_chunk": Stream._on_terminal,
    "terminal_update": Stream._on_terminal,
    "tool_call": Stream._on_call,
    "tool_call_content_chunk": Stream._on_content,
    "tool_call_update": Stream._on_call,
}
