"""What an agent that speaks version 2 does by itself, outside of our turns and beside them."""

from __future__ import annotations

from agents.harness.acp import version2
from agents.harness.acp.agents import Agent
from agents.harness.acp.background import BackgroundTasks
from agents.harness.acp.steps import SessionSteps
from agents.harness.acp.unasked import UnaskedWork
from agents.harness.base import Background, Out, TurnInput
from agents.harness.cli_adapter import Message
from agents.harness.lines import as_object, object_of, text_of
from agents.harness.rpc import id_of


class UnaskedSteps(SessionSteps):
    """Tells the agent's own work from the answer to our message, and takes it as another turn."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(agent)
        self._unasked = UnaskedWork()
        self._background = BackgroundTasks()

    def begin(self, turn: TurnInput) -> list[Out]:
        # A question that waited for the turn after ours would keep the agent from our message.
        refused = [
            self._rpc.refuse(each, "Another turn began.") for each in self._unasked.postpone()
        ]
        return [*refused, *super().begin(turn)]

    def begin_unasked(self, turn: TurnInput) -> list[Out]:
        unasked, self._unasked = self._unasked, UnaskedWork()
        self._open(turn)
        self._is_prompted = True
        self._foreground.taken()
        self._meter.begin()
        self._answer.data("unasked", {"reason": unasked.reason}, part_id="unasked")
        outs, is_busy = self._answer.take(), self._foreground.is_busy
        for line in unasked.take():
            outs += self.feed(line)  # what follows its end is of another such turn
        self._foreground.is_busy = is_busy
        if self._turn is not None and not is_busy:  # our message was taken in the middle of it
            self._answer.finish("stop", self._metadata())
            outs += self._outputs()
        return outs

    def stop_task(self, task_id: str) -> list[Out]:
        if (found := self._background.stop(task_id)) is None:
            return []
        method, params = found
        return [self._rpc.request(method, {"sessionId": self._session} | params)]

    def feed(self, line: bytes) -> list[Out]:
        if self._is_restarting:  # the first program's
            return []
        is_outside = self._turn is None and self._version == version2.VERSION
        message = as_object(line) if is_outside else None
        return super().feed(line) if message is None else self._outside(message, line)

    def ended(self, code: int | None, stderr: str) -> list[Out]:
        if self._is_restarting:
            return []
        outs: list[Out] = [Background()] if self._background else []
        return [*outs, *super().ended(code, stderr)]

    def _on_gone(self) -> None:
        super()._on_gone()
        self._unasked, self._background = UnaskedWork(), BackgroundTasks()

    def _outputs(self) -> list[Out]:
        outs = super()._outputs()
        return outs if self._turn is not None else [*outs, *self._unasked.announce()]

    def _outside(self, message: Message, line: bytes) -> list[Out]:
        """Take a line outside of our turns, of an agent that may begin to work by itself."""
        params = object_of(message, "params")
        update = object_of(params, "update")
        outs: list[Out] = []
        if text_of(params, "sessionId") == self._session and update:
            outs = self._note_background(update)
            if text_of(update, "sessionUpdate") == "state_update":
                self._foreground.note(text_of(update, "state"))
        is_work = self._foreground.is_busy or (self._unasked.has_begun and update)
        if not is_work or (id_of(message) is None and not update):
            return [*outs, *self._between_turns(message)]
        self._unasked.reason = self._unasked.reason or self._reason()
        self._unasked.keep(line, is_state=text_of(update, "sessionUpdate") == "state_update")
        return [*outs, *self._unasked.announce()]

    def _reason(self) -> str:
        ended = self._background.ended
        return f"“{ended}” has ended." if ended else ""

    def _note_background(self, update: Message) -> list[Out]:
        """Take what is told of the background; returns what has changed there."""
        self._background.name(update)
        told = self._background.take(update)
        return [] if told is None else [told]

    def _take_new(self, update: Message, line: bytes) -> bool:
        """Take what only version 2 tells; return whether the rest of the update is our turn's."""
        for out in self._note_background(update):
            self._answer.put(out)
        is_state = text_of(update, "sessionUpdate") == "state_update"
        if is_other := self._foreground.is_of_another:
            self._unasked.keep(line, is_state=is_state)
        if is_state:
            self._on_state(update)
        return not is_state and not is_other

    def _on_state(self, update: Message) -> None:
        is_end = self._foreground.note(text_of(update, "state"))
        if not is_end or not self._is_prompted:
            return
        self._watch_level()
        if text_of(update, "stopReason") == "error":
            self._on_refusal("session/prompt", object_of(update, "error"))
        else:
            self._on_prompted(update)
