"""One turn of an agent: applies the adapter's outputs and makes sure that the turn ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from agents.harness.base import (
    START_MINUTES,
    Again,
    Applied,
    Ask,
    Background,
    Done,
    Emit,
    Fail,
    Json,
    NotSteered,
    Out,
    Steered,
    TurnInput,
    Unasked,
    Withdrawn,
    Write,
)
from agents.harness.questions import WORKING_FOLDER, Answers, has_secrets, redact, secrets_in
from agents.harness.stopwatch import Stopwatch
from mesh import process_tree
from mesh.lib.errors import AppError
from sandboxes.daemon.conversation import Conversation, HarnessCrashed
from sandboxes.daemon.descendants import Moments
from sandboxes.daemon.frames import Body, chunk_event, error_event
from sandboxes.daemon.notices import Notice, Notices, ended_text
from sandboxes.daemon.outline import Outline
from sandboxes.daemon.own_servers import OpeningWatch
from sandboxes.daemon.streams import RunStream
from sandboxes.daemon.writer import Writer

logger = logging.getLogger(__name__)

_CRASHES = ("harness_crashed", "harness_failed")
_SAYS_NOTHING = ("start", "message-metadata")
_WITHDRAWN = "withdrawn"  # in place of a decision
INTERRUPT_GRACE = 2.0  # seconds for a program to stop on request before it gets signals


class UnknownApproval(AppError):
    """The run has no such open question."""

    code = "unknown_approval"
    text = "The run has no open question with that id."
    hint = "The run may have been stopped; look at the thread again."
    status = 404


class AlreadyAnswered(AppError):
    """The question already has the opposite answer."""

    code = "already_answered"
    text = "The question was already answered differently."
    hint = "The first answer counts."
    status = 409


class QuestionWithdrawn(AppError):
    """The agent has taken the question back."""

    code = "question_withdrawn"
    text = "The agent took this question back before it was answered."
    hint = "Nothing was run by the answer. If the agent still needs it, it asks again."
    status = 409


class NotSteerable(AppError):
    """No turn is running that could take a message."""

    code = "not_steerable"
    text = "The agent is not in the middle of a turn."
    hint = "The message is sent when its own turn comes."
    status = 409


class SandboxStopped(AppError):
    """The sandbox was told to stop during the run."""

    code = "sandbox_stopped"
    text = "The sandbox was stopped while the agent was working."
    hint = "Send the message again."
    status = 503


class Silent(AppError):
    """The program wrote nothing for its harness's time limit, and no question was open."""

    code = "stuck"
    text = "The agent sent nothing for too long, so it was stopped."
    hint = "Check on the machine whether its program hangs, then send the message again."
    status = 504


class Turn:
    """A run from its input to its last event."""

    def __init__(
        self,
        stream: RunStream,
        writer: Writer,
        request: TurnInput,
        notices: Notices,
        *,
        is_unasked: bool = False,
        has_unclaimed: bool = False,
    ) -> None:
        self.stream = stream
        self.request = request
        self._is_unasked = is_unasked  # the program has begun it by itself
        self._has_unclaimed = has_unclaimed  # the server has yet to take such turns of the thread
        self._writer = writer
        self._notices = notices
        self._conversation: Conversation | None = None
        self._outline = Outline(stream.run_id)
        self._steers: set[str] = set()
        self._secret_cards: dict[str, object] = {}  # approval id → input that asks for a secret
        self._secrets: dict[str, tuple[str, ...]] = {}  # call → what it was told, never journaled
        # Approval id → decision, "" while it is open.
        self._answers: dict[str, str] = {}
        self._asked: dict[str, str] = {}  # approval id → the call it is about
        # Our own questions, asked before the agent gets the message: approval id → its answer.
        self._own: dict[str, asyncio.Future[tuple[str, Answers | None]]] = {}
        self._has_started = False
        self.notes: list[Notice] = []  # for this chat alone, beside those of the folder
        self._clock = asyncio.get_running_loop().time
        self._stopwatch = Stopwatch()
        self._next: asyncio.Future[TurnInput | None] = asyncio.get_running_loop().create_future()
        self._is_stopping = False
        self._is_kept = False  # the program served an earlier turn, and may have ended meanwhile
        self._has_shown = False  # anything of the agent's
        self._begins_anew = False
        self.moments = Moments(process_tree.now())
        self.broken: AppError | None = None  # events of it could not be stored
        self.has_crashed = False  # the agent's program, or one that it drives
        self._finish: Body | None = None  # kept back: what was ended is told before
        self._error: AppError | None = None
        self._opening: OpeningWatch | None = None  # while the program opens the conversation
        stream.on_broken = self._break

    @property
    def conversation(self) -> Conversation | None:
        return self._conversation

    @property
    def is_over(self) -> bool:
        """Whether the adapter has ended the turn; ``done`` follows immediately."""
        return self._next.done()

    @property
    def is_silent(self) -> bool:
        """Whether the program hangs; one that waits for a person's answer does not."""
        if self._conversation is None or self.is_over or "" in self._answers.values():
            return False
        silence = self._clock() - self._conversation.heard_at
        minutes = self.request.silent_minutes
        if self._conversation.adapter.is_starting:
            minutes = min(minutes, START_MINUTES)
        return silence >= minutes * 60

    # The course of the turn

    async def ask_first(self, asked: Json) -> tuple[str, Answers | None]:
        """Ask the person something before the agent gets the message.

        Returns the decision and the answers; ``asked`` is the input of the card.

        Raises:
            AppError: the question can't be stored, so nobody will see it.
        """
        # Of this attempt: the next one asks again, and the answer's parts must differ.
        approval_id = call_id = f"working-folder-{self.stream.fence}-{len(self._own) + 1}"
        answer = self._own[approval_id] = asyncio.get_running_loop().create_future()
        if not self._has_started:
            self._emit({"type": "start", "messageId": self.stream.run_id})
        head = {"toolCallId": call_id, "toolName": WORKING_FOLDER, "dynamic": True}
        self._emit({"type": "start-step"})
        self._emit({"type": "tool-input-start", **head})
        self._emit({"type": "tool-input-available", **head, "input": asked})
        request = {
            "type": "tool-approval-request",
            "approvalId": approval_id,
            "toolCallId": call_id,
        }
        self._ask(Ask(approval_id, call_id, WORKING_FOLDER, asked, request))
        decision, answers = await answer
        if decision == "allow":
            output = {"type": "tool-output-available", "toolCallId": call_id, "dynamic": True}
            self._emit(output | {"output": {"answers": dict(answers or {})}})
        else:
            self._emit({"type": "tool-output-denied", "toolCallId": call_id})
        self._emit({"type": "finish-step"})
        return decision, answers

    async def run(self, conversation: Conversation) -> None:
        """Run the turn with ``conversation``; returns when the adapter has ended it.

        Raises:
            AppError: the turn failed; ``close`` puts that into the journal.
        """
        conversation.heard_at = self._clock()
        self.moments = Moments(process_tree.now())
        conversation.turn_began = self.moments.turn
        self._conversation = conversation
        conversation.turn = self
        if conversation.background or self._has_unclaimed:
            self._tell_background(conversation)
        if self._is_unasked:
            self.apply(conversation.adapter.begin_unasked(self.request))
            await self._next
            if self._error is not None:
                raise self._error
            return
        conversation.request = self.request
        self._is_kept = conversation.program is not None and conversation.program.is_alive
        request: TurnInput | None = self.request
        while request is not None and not self._is_stopping:
            if conversation.program is None or not conversation.program.is_alive:
                conversation.start(request)
            self.apply(conversation.adapter.begin(request))
            request = await self._next
            if request is not None:
                if request.left_out != self.request.left_out:
                    conversation.on_left_out(request.left_out)
                self._next = asyncio.get_running_loop().create_future()
                conversation.turn = None  # the first program's exit must not end the turn
                await conversation.end()
                if self._begins_anew:
                    self._begins_anew = False
                    await conversation.renew()
                conversation.turn = self
        if self._error is not None:
            raise self._error

    def close(self, error: AppError | None) -> None:
        """Write the chunks that complete the message, then ``done``. Nothing can follow."""
        if self._opening is not None:
            self._opening.end()
        if self._conversation is not None:
            self._conversation.turn = None
        how: Literal["error", "abort"] = "abort" if error is None else "error"
        text = str(error) if error is not None else "The run was stopped."
        if error is not None:
            self._writer.put(self.stream, error_event(error.code, text))
        if self._finish is not None:
            self._pass_on(self._finish)
        for chunk in self._outline.closing(how, text):
            self._pass_on(chunk)
        self._writer.finish(self.stream)

    def tell_ended(self, commands: Sequence[str]) -> None:
        """Say in the answer which commands were ended with it, if any were."""
        if not commands:
            return
        if not self._has_started:
            self._emit({"type": "start", "messageId": self.stream.run_id})
        value = {"source": "mesh", "code": "ended_commands", "text": ended_text(commands)}
        self._emit({"type": "data-notice", "data": value})

    # Outputs of the adapter

    def apply(self, outs: Sequence[Out]) -> None:
        """Apply the adapter's outputs in order."""
        for out in outs:
            if isinstance(out, Background | Unasked):
                if self._conversation is not None:
                    self._conversation.note(out)
                    if isinstance(out, Background):
                        self._tell_background(self._conversation)
                continue
            if self._next.done():
                continue  # nothing else follows the end of a turn
            match out:
                case Emit(chunk):
                    self._emit(chunk)
                case Write(line):
                    assert self._conversation is not None
                    self._conversation.write(line)
                case Ask():
                    self._ask(out)
                case Applied(approval_id, decision):
                    self._answers[approval_id] = decision
                    call = self._asked.get(approval_id, "")
                    self._stopwatch.allowed(call, now=self._clock())
                    self._outline.see_applied(approval_id, decision)
                    self._put(
                        {
                            "type": "approval-applied",
                            "approvalId": approval_id,
                            "decision": decision,
                        }
                    )
                case Withdrawn(approval_id):
                    self._withdraw(approval_id)
                case Steered(steer_id):
                    self._put({"type": "steer-applied", "steerId": steer_id})
                case NotSteered(steer_id):
                    self._put({"type": "steer-refused", "steerId": steer_id})
                case Fail(code, message):
                    self.has_crashed |= code in _CRASHES
                    if not self._is_stopping:  # a program that dies after a stop is no failure
                        self._put(error_event(code, message))
                case Again(turn):
                    self._next.set_result(turn)
                case Done():
                    self._next.set_result(None)
        self._watch_opening()

    def _watch_opening(self) -> None:
        """Watch the program while it may wait for MCP servers of the person's own settings."""
        conversation = self._conversation
        servers = tuple(conversation.own_servers) if conversation else ()
        if conversation is None or not servers:
            return
        opens = "" if self._next.done() else conversation.adapter.opens
        if self._opening is not None and self._opening.opens != opens:
            self._opening.end()
            self._opening = None
        if opens and self._opening is None:
            self._opening = OpeningWatch(
                opens,
                tell=partial(conversation.adapter.tell_waiting, servers),
                give_up=partial(conversation.adapter.leave_out, servers),
                act=self._act_late,
            )

    def _act_late(self, say: Callable[[], Sequence[Out]]) -> None:
        if not self._next.done() and not self._is_stopping:
            with contextlib.suppress(HarnessCrashed):  # the turn has ended with it
                self._apply_input(say)

    def begin_anew(self) -> bool:
        """Give the turn to a new program, if the one that was kept for it has ended before
        anything came of the message; return whether it was given. At most once."""
        has_begun = self._has_shown or self._steers or self._is_stopping
        if self._next.done() or not self._is_kept or has_begun:
            return False
        logger.info("run %s: its kept program has ended, starting another", self.stream.run_id)
        self._is_kept, self._begins_anew = False, True
        self._next.set_result(self.request)
        return True

    def _tell_background(self, conversation: Conversation) -> None:
        body: Body = {"type": "background", "tasks": conversation.background.as_json()}
        self._put(body | ({"hasUnclaimed": True} if self._has_unclaimed else {}))

    def crash(self, error: AppError) -> None:
        """End the turn, unless it has ended: the adapter or its program can't continue."""
        if self._next.done():
            return
        self._error = error
        self._next.set_result(None)
        for own in self._own.values():
            if not own.done():
                own.set_exception(error)
        if self._conversation is not None and self._conversation.program is not None:
            self._conversation.program.end()

    def _break(self, error: AppError) -> None:
        """The journal refused an event: the final events are stored past its limit."""
        self.stream.is_forced = True
        self.broken = error
        self.crash(error)

    def _emit(self, chunk: Body) -> None:
        if chunk["type"] == "finish":
            self._finish = chunk
            return
        self._has_shown |= chunk["type"] not in _SAYS_NOTHING
        if chunk["type"] == "tool-input-start" and self.moments.call is None:
            self.moments = replace(self.moments, call=self._called_after())
        self._pass_on(chunk)

    def _called_after(self) -> float:
        """Return a moment before the call that the program tells of now.

        A busy sandbox may read of a call when the command runs already.
        """
        program = self._conversation and self._conversation.program
        return program.read_until if program else process_tree.now()

    def _pass_on(self, chunk: Body) -> None:
        is_start = chunk["type"] == "start"
        # The answer may have been started by a question of ours.
        if not (is_start and self._has_started):
            self._outline.see(chunk)
            self._put(chunk_event(self._stopwatch.timed(chunk, now=self._clock())))
        if is_start:
            self._has_started = True
            self._tell_notices()

    def _tell_notices(self) -> None:
        pending = self._notices.pending
        notes, self.notes = self.notes, []
        for notice in (*pending, *notes):
            value = {"source": "mesh", "code": notice.code, "text": notice.text}
            self._put(chunk_event({"type": "data-notice", "data": value}))
        self._notices.note_told(pending)

    def _ask(self, ask: Ask) -> None:
        self._answers[ask.approval_id] = ""
        self._asked[ask.approval_id] = ask.tool_call_id
        if has_secrets(ask.input):
            self._secret_cards[ask.approval_id] = ask.input
        self._outline.see(ask.chunk)
        question = {
            "approvalId": ask.approval_id,
            "toolCallId": ask.tool_call_id,
            "tool": ask.tool,
            "input": ask.input,
            **({} if ask.is_known else {"isKnown": False}),
            **({"because": ask.because} if ask.because else {}),
        }
        self._put({**chunk_event(ask.chunk), "approval": question})

    def _withdraw(self, approval_id: str) -> None:
        if self._answers.get(approval_id) == "":
            self._answers[approval_id] = _WITHDRAWN
            self._secret_cards.pop(approval_id, None)
            self._put({"type": "approval-withdrawn", "approvalId": approval_id})

    def _put(self, body: Body) -> None:
        for call, secrets in self._secrets.items():
            is_own = body.get("chunk", {}).get("toolCallId") == call
            body = redact(body, secrets, is_own=is_own)
        self._writer.put(self.stream, body)

    # Input from people

    def answer(
        self, approval_id: str, decision: str, reason: str, answers: Answers | None = None
    ) -> None:
        """Pass a person's answer to the program; the same answer again changes nothing.

        Raises:
            UnknownApproval: the run has no such question, or no longer.
            AlreadyAnswered: it has the opposite answer.
            QuestionWithdrawn: the agent has taken it back.
            HarnessCrashed: the adapter failed on it, and with it the turn.
        """
        given = self._answers.get(approval_id)
        if given is None or (not given and self._next.done()):
            raise UnknownApproval
        if given == _WITHDRAWN:
            raise QuestionWithdrawn
        if given and given != decision:
            raise AlreadyAnswered
        if given:
            return
        self._answers[approval_id] = decision
        if secrets := secrets_in(self._secret_cards.pop(approval_id, None), answers or {}):
            self._secrets[self._asked[approval_id]] = secrets
        if (own := self._own.get(approval_id)) is not None:
            self._journal_first(lambda: [Applied(approval_id, decision)])
            if not own.done():  # the journal may have refused the event
                own.set_result((decision, answers))
            return
        assert self._conversation is not None
        answer = partial(self._conversation.adapter.answer, approval_id, decision, reason, answers)
        self._apply_input(partial(self._journal_first, answer))

    def _journal_first(self, say: Callable[[], Sequence[Out]]) -> Sequence[Out]:
        """Journal that the answer is applied before the program gets it; return the other outputs.

        If we die in between, the call was not made and the question is not asked again. In the
        other order, the call could be made twice.
        """
        outs = say()
        self.apply([out for out in outs if isinstance(out, Applied)])
        self._writer.flush()
        return [out for out in outs if not isinstance(out, Applied)]

    def steer(self, steer_id: str, message: Json) -> None:
        """Pass a person's message to the program; the same one again changes nothing.

        It is journalled first, so that no failure makes the program get it twice.

        Raises:
            NotSteerable: there is no program yet, or its turn has ended.
            HarnessCrashed: the adapter failed on it, and with it the turn.
        """
        if steer_id in self._steers:
            return
        if self._conversation is None or self._next.done() or self._is_stopping:
            raise NotSteerable
        self._steers.add(steer_id)
        self._put({"type": "steer-taken", "steerId": steer_id})
        self._writer.flush()
        if not self._next.done():  # the journal may have refused the event above
            self._apply_input(partial(self._conversation.adapter.steer, steer_id, message))

    async def stop(self, *, grace: float = INTERRUPT_GRACE) -> None:
        """Stop the program: by request, then by signals to its group; returns once it has stopped.

        A program that obeys in time stays alive for the thread's next turn.
        """
        self._is_stopping = True
        conversation = self._conversation
        if conversation is None or self._next.done():
            return
        self._apply_input(conversation.adapter.interrupt)
        await asyncio.wait([self._next], timeout=grace)
        if not self._next.done():
            await conversation.end()  # its exit reaches the adapter, which then returns Done
        if not self._next.done():
            self._next.set_result(None)

    def _apply_input(self, say: Callable[[], Sequence[Out]]) -> None:
        """Apply the adapter's outputs for an answer, a message or a stop.

        Raises:
            HarnessCrashed: it failed; the turn ends, because nobody would repeat the input.
        """
        try:
            self.apply(say())
        except Exception as exc:
            logger.exception(
                "run %s: the adapter failed on an answer, a message or a stop, ending the turn",
                self.stream.run_id,
            )
            self.crash(HarnessCrashed())
            raise HarnessCrashed from exc
