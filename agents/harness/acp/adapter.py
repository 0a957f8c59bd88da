"""The adapter: dispatch of an agent's messages. The course of a turn is in ``steps``."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from agents.harness.acp import elicitation, permissions, version2
from agents.harness.acp.agents import Agent
from agents.harness.acp.calls import Call
from agents.harness.acp.elicitation import Asked
from agents.harness.acp.endings import RETRYING, Endings
from agents.harness.acp.levels import level_of
from agents.harness.acp.permissions import Question
from agents.harness.acp.stream import Stream
from agents.harness.acp.subagents import Subagents
from agents.harness.acp.unasked_steps import WITHDRAWN, UnaskedSteps
from agents.harness.base import AUTO, Out, TurnInput
from agents.harness.cli_adapter import Message
from agents.harness.lines import object_of, text_of
from agents.harness.questions import QUESTION, Answers
from agents.harness.rpc import RequestId, id_of


class AcpAdapter(UnaskedSteps):
    """See ``agents.harness.base.Adapter``; for one agent."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(agent)
        self._stream = Stream(self._answer)
        self._subagents = Subagents(self._answer, lambda call: self._stream)
        self._endings = Endings(agent, self._answer, self._stream, self._find_facts)
        self._has_told_unasked = False  # that a call ran without a question
        self._past: deque[str] = deque(maxlen=1000)  # calls of earlier turns

    def _open(self, turn: TurnInput) -> None:
        super()._open(turn)
        self._past.extend([*self._stream.calls, *self._subagents.calls])
        past, asks = frozenset(self._past), level_of(turn) != AUTO
        stream = Stream(self._answer, turn.folder, past, asks=asks)
        self._stream = stream
        self._subagents = Subagents(
            self._answer,
            lambda call: Stream(
                self._answer, turn.folder, past, asks=asks, parent=call, unasked=stream.unasked
            ),
        )
        self._has_told_unasked = False
        self._endings = Endings(self.agent, self._answer, self._stream, self._find_facts)

    def _take(self, message: Message, line: bytes) -> None:
        if self.opens == "message":
            self._note_begun(message)
        if (request_id := id_of(message)) is not None:
            self._on_request(request_id, message)
        elif text_of(message, "method") == "session/update":
            self._on_update(object_of(message, "params"), line)
        elif text_of(message, "method") == RETRYING:
            self._endings.retry(object_of(message, "params"))
        elif text_of(message, "method") == WITHDRAWN:
            self._on_withdrawn(object_of(message, "params").get("requestId"))
        elif "id" in message and "method" not in message:
            self._on_response(self._rpc.take(message), message)
        elif "method" not in message:  # other notifications are an extension's
            self._answer.notice(self.kind, line)

    def _request_stop(self) -> list[Out]:
        for stream in (self._stream, *self._subagents.streams):
            stream.is_interrupted = True
        outs: list[Out] = []
        if self._is_prompted and self._held is None:
            outs.append(self._rpc.notify("session/cancel", {"sessionId": self._session}))
        for question in self._questions.values():  # an agent that waits for an answer can't stop
            outs.append(self._rpc.respond(question.request_id, _cancelled(question)))
        self._questions = {}
        return outs

    def _between_turns(self, message: Message | None) -> list[Out]:
        if message is None:
            return []
        if (request_id := id_of(message)) is None:
            self._rpc.take(message)
            params = object_of(message, "params")
            update = object_of(params, "update")
            if (session := text_of(params, "sessionId")) and session != self._session:
                return []
            if self._version == version2.VERSION:
                update = version2.updated(update)
            self._has_news |= self._facts.take(update)
            return []
        if text_of(message, "method") == permissions.METHOD:
            return [self._rpc.respond(request_id, permissions.CANCELLED)]
        if text_of(message, "method") == elicitation.METHOD:
            return [self._rpc.respond(request_id, elicitation.CANCELLED)]
        return [self._rpc.refuse(request_id, "No turn is running.")]

    # The agent's requests and updates

    def _on_request(self, request_id: RequestId, message: Message) -> None:
        method, params = text_of(message, "method"), object_of(message, "params")
        if method == permissions.METHOD:
            self._on_permission(request_id, params)
        elif method == elicitation.METHOD:
            self._on_elicitation(request_id, params)
        else:  # opencode, for one, asks us to write files although we declared that we don't
            self._answer.put(self._rpc.refuse(request_id, "The agent must do this itself."))

    def _on_withdrawn(self, request_id: object) -> None:
        """Close a question that the agent asks no more; what comes of its call says the rest."""
        for approval_id, question in list(self._questions.items()):
            if question.request_id == request_id:
                for stream in (self._stream, *self._subagents.streams):
                    stream.withdraw(question.call)
                self._withdraw(approval_id)
                self._beside.pop(approval_id, None)
                self._on_closed(question)

    def _on_closed(self, question: Question) -> None:
        """See ``CliAdapter``. A request has a response in any case."""
        self._answer.put(self._rpc.respond(question.request_id, _cancelled(question)))

    def _on_permission(self, request_id: RequestId, params: Message) -> None:
        assert self._turn is not None
        if self._version == version2.VERSION:
            params = version2.asked(params)
        approval_id = f"{self._turn.run_id}:{request_id}"
        stream = self._stream_of(params, approval_id)
        call_id, call = stream.call(object_of(params, "toolCall"))
        stream.note_question(call_id)
        question = permissions.read(request_id, params, call_id)
        decision, because = self._decide(self._turn, question, call)
        if self._is_interrupted:
            self._answer.put(self._rpc.respond(request_id, permissions.CANCELLED))
        elif decision == "ask":
            self._ask(
                approval_id,
                question,
                call=call_id,
                tool=call.name,
                value=call.input,
                is_known=call.is_known,
                because=because,
            )
        else:
            stream.show(call_id)  # some agents report nothing more until it has ended
            self._reply(question, decision == "allow", "", {})

    def _stream_of(self, params: Message, approval_id: str) -> Stream:
        """Return where the call goes that a question is about: perhaps to a sub-agent's."""
        session = text_of(params, "sessionId")
        if session in ("", self._session) or self._version != version2.VERSION:
            return self._subagents.stream_of(session) or self._stream
        self._beside[approval_id] = session
        if title := self._background.title_of(session):  # it may be of an earlier turn
            self._subagents.announce(session, title)
        return self._subagents.stream_of(session) or self._stream

    def _decide(
        self, turn: TurnInput, question: Question, call: Call
    ) -> tuple[permissions.Decision, str]:
        """See ``UnaskedSteps``."""
        # A call with a diff is an edit, whatever kind the agent declares.
        decision = permissions.decide(turn, "edit" if call.changes else call.kind)
        because = self._asked_by_settings(turn, question, call.name)
        return "ask" if because and decision == "allow" else decision, because

    def _asked_by_settings(self, turn: TurnInput, question: Question, tool: str) -> str:
        """Return why the person's own settings ask, as far as the agent lets us know it: at any
        other level it asks more."""
        is_auto = level_of(turn) == self._opened_at == AUTO
        which = self.agent.own_questions if is_auto else ""
        is_own = permissions.is_own(question, tool, which)
        return f"Your settings for {self.title} ask about this." if is_own else ""

    def _reply(self, question: Question, is_allowed: bool, reason: str, answers: Answers) -> None:
        """See ``CliAdapter``. The protocol has no place for a reason."""
        if isinstance(question, Asked):
            self._reply_to_form(question, is_allowed, answers)
            return
        if not is_allowed:
            self._answer.deny(question.call)
        result = permissions.reply(question, is_allowed=is_allowed)
        self._answer.put(self._rpc.respond(question.request_id, result))

    def _on_elicitation(self, request_id: RequestId, params: Message) -> None:
        asked = elicitation.read(request_id, params)
        if asked is None:
            self._answer.put(self._rpc.respond(request_id, elicitation.DECLINED))
        elif self._is_interrupted:
            self._answer.put(self._rpc.respond(request_id, elicitation.CANCELLED))
        else:
            assert self._turn is not None
            if (session := text_of(params, "sessionId")) not in ("", self._session):
                self._beside[f"{self._turn.run_id}:{request_id}"] = session
            self._ask_form(asked)

    def _ask_form(self, asked: Asked, complaint: str = "") -> None:
        assert self._turn is not None
        first_id = approval_id = f"{self._turn.run_id}:{asked.request_id}"
        if asked.attempt:
            approval_id += f":{asked.attempt}"
        if first_id in self._beside:
            self._beside[approval_id] = self._beside[first_id]
        asked = replace(asked, call=approval_id)
        value = asked.as_input(complaint)
        self._ask(approval_id, asked, call=approval_id, tool=QUESTION, value=value)

    def _reply_to_form(self, asked: Asked, is_allowed: bool, answers: Answers) -> None:
        """Pass on what a person filled in; ask again, with the reason, if it does not fit."""
        result = elicitation.DECLINED
        if is_allowed:
            try:
                content = asked.form.content(answers) if asked.form else None
            except ValueError as exc:
                self._answer.call_failed(asked.call, str(exc))
                self._ask_form(replace(asked, attempt=asked.attempt + 1), str(exc))
                return
            is_no = asked.form is not None and content is None
            result = elicitation.DECLINED if is_no else elicitation.accepted(content)
            self._answer.result(asked.call, "Answered.")
        else:
            self._answer.deny(asked.call)
            self._answer.result(asked.call, "")
        self._answer.put(self._rpc.respond(asked.request_id, result))

    def _on_update(self, params: Message, line: bytes) -> None:
        update = object_of(params, "update")
        if (session := text_of(params, "sessionId")) and self._session not in ("", session):
            self._on_subagent(session, update)
            return
        if self._version == version2.VERSION and not self._take_new(update, line):
            return
        update = version2.updated(update) if self._version == version2.VERSION else update
        if text_of(update, "sessionUpdate") == "usage_update":
            self._meter.update(update)
        if self._facts.take(update):
            self._offer()
        self._watch_level()
        if not self._is_prompted:
            return  # a replayed history
        if self._endings.take(update):
            return
        self._subagents.take(self._session, update)
        if not self._stream.take(update):
            self._answer.notice(self.kind, line)
        for code, text in self._stream.take_notices():
            self._notice(code, text)
        self._tell_unasked()

    def _on_subagent(self, session: str, update: Message) -> None:
        """Take what a sub-agent tells of its own session; in version 1 its work is a call."""
        if self._version == version2.VERSION and self._is_prompted:
            if title := self._background.title_of(session):  # it may be of an earlier turn
                self._subagents.announce(session, title)
            self._subagents.take(session, version2.updated(update))
            self._tell_unasked()

    def _finish_calls(self) -> None:
        undecided = {question.call for question in self._questions.values()}
        self._stream.finish(undecided)
        self._subagents.finish(undecided)
        self._tell_unasked()

    def _tell_unasked(self) -> None:
        if self._stream.unasked and not self._has_told_unasked:
            self._has_told_unasked = True
            text = f"{self.title} ran something without asking first. It is marked below."
            self._notice("ran_unasked", text)

    def _metadata(self) -> Message:
        """See ``CliAdapter``; with the number of calls that ran without a question."""
        unasked = len(self._stream.unasked)
        return super()._metadata() | ({"unaskedCalls": unasked} if unasked else {})


def _cancelled(question: Question) -> Message:
    """Return the result for a question that nobody answers any more."""
    is_asked = isinstance(question, Asked)
    return elicitation.CANCELLED if is_asked else permissions.CANCELLED
