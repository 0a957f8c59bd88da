"""What an agent that speaks version 2 does by itself, outside of our turns and beside them."""

from __future__ import annotations

from abc import abstractmethod

from agents.harness.acp import elicitation, permissions, version2
from agents.harness.acp.agents import Agent
from agents.harness.acp.background import BackgroundTasks
from agents.harness.acp.calls import Call
from agents.harness.acp.steps import SessionSteps
from agents.harness.acp.unasked import UnaskedWork
from agents.harness.base import Background, Out, TurnInput
from agents.harness.cli_adapter import Message
from agents.harness.lines import as_object, object_of, text_of
from agents.harness.questions import Answers
from agents.harness.rpc import RequestId, id_of

# An agent asks no more what it has asked.
WITHDRAWN = "$/cancel_request"
_CALLS = ("tool_call", "tool_call_update", "tool_call_content_chunk")


class UnaskedSteps(SessionSteps):
    """Tells the agent's own work from the answer to our message, and takes it as another turn."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(agent)
        self._unasked = UnaskedWork()
        self._background = BackgroundTasks()
        self._settings: TurnInput | None = None  # of the last turn
        # The end of a turn in which a sub-agent still waits for a person; empty: of one that is
        # there for its question alone.
        self._held: Message | None = None
        self._beside: dict[str, str] = {}  # questions of sub-agents in this turn → session

    def begin(self, turn: TurnInput) -> list[Out]:
        # A question that waited for the turn after ours would keep the agent from our message.
        postponed = self._unasked.postpone(self._session)
        refused = [self._rpc.refuse(each, "Another turn began.") for each in postponed]
        self._settings = turn
        return [*refused, *super().begin(turn)]

    def _open(self, turn: TurnInput) -> None:
        super()._open(turn)
        self._held, self._beside = None, {}

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
        if self._turn is not None and not is_busy:
            # There are only questions, or our message was taken in the middle of its work.
            self._held = {}
            self._beside = dict.fromkeys(self._questions, "") | self._beside
            outs += self._outputs()
        return outs

    def answer(
        self, approval_id: str, decision: str, reason: str, answers: Answers | None = None
    ) -> list[Out]:
        outs = super().answer(approval_id, decision, reason, answers)
        if decision != "allow":
            self._beside.pop(approval_id, None)  # its call comes to nothing, told or not
        return [*outs, *self._outputs()] if self._turn is not None else outs

    def interrupt(self) -> list[Out]:
        is_held = self._held is not None
        outs = super().interrupt()
        if self._turn is None or not is_held:
            return outs
        self._held = None
        self._answer.abort(self._metadata())
        return [*outs, *self._outputs()]

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
        self._drop_closed()
        if self._turn is not None and self._held is not None and not self._is_asked():
            held, self._held = self._held, None
            if held:
                self._end(held)
            else:
                if self._beside:
                    self._finish_calls()
                self._answer.finish("stop", self._metadata())
        outs = super()._outputs()
        return outs if self._turn is not None else [*outs, *self._unasked.announce()]

    def _outside(self, message: Message, line: bytes) -> list[Out]:
        """Take a line outside of our turns, of an agent that may begin to work by itself."""
        params = object_of(message, "params")
        update = object_of(params, "update")
        outs: list[Out] = []
        session = text_of(params, "sessionId")
        if session == self._session and update:
            outs = self._note_background(update)
            if text_of(update, "sessionUpdate") == "state_update":
                self._foreground.note(text_of(update, "state"))
        is_work = self._foreground.is_busy or (self._unasked.has_begun and update)
        if (request_id := id_of(message)) is not None and not self._foreground.is_busy:
            return self._asked_outside(request_id, message, line)
        if text_of(message, "method") == WITHDRAWN:
            is_work = self._unasked.has_request(params.get("requestId"))
            update = params if is_work else {}
        elif not is_work and session and text_of(update, "sessionUpdate") in _CALLS:
            self._unasked.note(session, text_of(update, "toolCallId"), line)
        if not is_work or (id_of(message) is None and not update):
            return [*outs, *self._between_turns(message)]
        self._unasked.reason = self._unasked.reason or self._reason()
        self._unasked.keep(line, is_state=text_of(update, "sessionUpdate") == "state_update")
        return [*outs, *self._unasked.announce()]

    def _asked_outside(self, request_id: RequestId, message: Message, line: bytes) -> list[Out]:
        """Take a question of a sub-agent that works in the background: what the level of its turn
        does not answer is asked in an answer of its own."""
        params, call_id = object_of(message, "params"), ""
        if text_of(message, "method") == permissions.METHOD and self._settings is not None:
            asked = version2.asked(params)
            call, told = Call(self._settings.folder), object_of(asked, "toolCall")
            call.update(told)
            call_id = text_of(told, "toolCallId")
            question = permissions.read(request_id, asked, call_id)
            decision, _ = self._decide(self._settings, question, call)
            if decision != "ask":
                result = permissions.reply(question, is_allowed=decision == "allow")
                return [self._rpc.respond(request_id, result)]
        elif text_of(message, "method") == elicitation.METHOD:
            if elicitation.read(request_id, params) is None:
                return [self._rpc.respond(request_id, elicitation.DECLINED)]
        else:
            return self._between_turns(message)
        self._unasked.ask(text_of(params, "sessionId"), call_id, line)
        return [*self._unasked.announce()]

    @abstractmethod
    def _decide(
        self, turn: TurnInput, question: permissions.Question, call: Call
    ) -> tuple[permissions.Decision, str]:
        """Return the decision about a question by the settings of ``turn``, and what in the
        person's own settings asks."""

    def _is_asked(self) -> bool:
        """Return whether a sub-agent waits for a person, or works on the call that one allowed."""
        return any(
            each in self._questions or self._is_at_work(self._asked.get(each, ""), each, session)
            for each, session in self._beside.items()
        )

    def _is_at_work(self, call: str, approval_id: str, session: str) -> bool:
        is_told = call not in ("", approval_id)  # else nothing ever says that the call has ended
        return is_told and not any(map(self._answer.is_ended_call, (call, session)))

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
        if self._foreground.is_busy:
            self._held = None  # it works on
        if not is_end or not self._is_prompted:
            return
        if self._is_asked() and not self._is_interrupted:
            self._held = update
        else:
            self._end(update)

    def _end(self, update: Message) -> None:
        self._watch_level()
        if text_of(update, "stopReason") == "error":
            self._on_refusal("session/prompt", object_of(update, "error"))
        else:
            self._on_prompted(update)
