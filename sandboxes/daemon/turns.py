"""One turn of an agent: carries out what the adapter says, and sees to a proper end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from agents.harness.base import (
    Again,
    Applied,
    Ask,
    Done,
    Emit,
    Fail,
    Json,
    NotSteered,
    Out,
    Steered,
    TurnInput,
    Write,
)
from agents.harness.questions import Answers
from agents.harness.stopwatch import Stopwatch
from mesh import process_tree
from mesh.lib.errors import AppError
from sandboxes.daemon.conversation import Conversation, HarnessCrashed
from sandboxes.daemon.frames import Body, chunk_event, error_event
from sandboxes.daemon.outline import Outline
from sandboxes.daemon.streams import RunStream
from sandboxes.daemon.writer import Writer

logger = logging.getLogger(__name__)

INTERRUPT_GRACE = 2.0  # seconds for a program to stop by itself before it gets signals


class UnknownApproval(AppError):
    """No such question is open in this run."""

    code = "unknown_approval"
    text = "The run has no open question of that id."
    hint = "It may have been stopped meanwhile; look at the thread again."
    status = 404


class AlreadyAnswered(AppError):
    """The question was answered the other way before."""

    code = "already_answered"
    text = "The question was already answered differently."
    hint = "The first answer counts."
    status = 409


class NotSteerable(AppError):
    """No turn goes on that a message could be given to."""

    code = "not_steerable"
    text = "The agent is not in the middle of a turn."
    hint = "The message goes out in its turn."
    status = 409


class SandboxStopped(AppError):
    """The sandbox was told to end while the run was going on."""

    code = "sandbox_stopped"
    text = "The sandbox was stopped while the agent was at work."
    hint = "Send the message again."
    status = 503


class Silent(AppError):
    """The program said nothing for as long as its harness may, and asked nobody anything."""

    code = "stuck"
    text = "The agent said nothing for too long, so it was ended."
    hint = "Look on the machine whether its program hangs, then send the message again."
    status = 504


class Turn:
    """A run's way from its input to its last event."""

    def __init__(self, stream: RunStream, writer: Writer, request: TurnInput) -> None:
        self.stream = stream
        self.request = request
        self._writer = writer
        self._conversation: Conversation | None = None
        self._outline = Outline(stream.run_id)
        self._steers: set[str] = set()
        self._answers: dict[str, str] = {}  # approval id → decision, "" while it is open
        self._asked: dict[str, str] = {}  # approval id → the call it is about
        self._clock = asyncio.get_running_loop().time
        self._stopwatch = Stopwatch()
        self._next: asyncio.Future[TurnInput | None] = asyncio.get_running_loop().create_future()
        self._is_stopping = False
        self.began = process_tree.now()
        self._error: AppError | None = None
        stream.on_broken = self._break

    @property
    def is_over(self) -> bool:
        """Whether the adapter has said its last; ``done`` follows at once."""
        return self._next.done()

    @property
    def is_silent(self) -> bool:
        """Whether the program hangs: who waits for a person's answer does not."""
        if self._conversation is None or self.is_over or "" in self._answers.values():
            return False
        silence = self._clock() - self._conversation.heard_at
        return silence >= self.request.silent_minutes * 60

    # The way

    async def run(self, conversation: Conversation) -> None:
        """Go through the turn with ``conversation``; returns when the adapter is done.

        Raises:
            AppError: it could not be; ``close`` puts that into the journal.
        """
        conversation.heard_at = self._clock()
        self.began = process_tree.now()
        self._conversation = conversation
        conversation.turn = self
        request: TurnInput | None = replace(self.request, folder=str(conversation.cwd))
        while request is not None and not self._is_stopping:
            if conversation.program is None or not conversation.program.is_alive:
                conversation.start(request)
            self.apply(conversation.adapter.begin(request))
            request = await self._next
            if request is not None:
                self._next = asyncio.get_running_loop().create_future()
                conversation.turn = None  # the end of the first program is not the turn's
                await conversation.end()
                conversation.turn = self
        if self._error is not None:
            raise self._error

    def close(self, error: AppError | None) -> None:
        """Put in what is missing of the message, then ``done``. Nothing can follow."""
        if self._conversation is not None:
            self._conversation.turn = None
        how: Literal["error", "abort"] = "abort" if error is None else "error"
        text = str(error) if error is not None else "The run was stopped."
        if error is not None:
            self._writer.put(self.stream, error_event(error.code, text))
        for chunk in self._outline.closing(how, text):
            self._emit(chunk)
        self._writer.finish(self.stream)

    # What the adapter says

    def apply(self, outs: Sequence[Out]) -> None:
        """Carry out the adapter's outputs in their order."""
        for out in outs:
            if self._next.done():
                return  # nothing follows the end of a turn
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
                case Steered(steer_id):
                    self._put({"type": "steer-applied", "steerId": steer_id})
                case NotSteered(steer_id):
                    self._put({"type": "steer-refused", "steerId": steer_id})
                case Fail(code, message):
                    if not self._is_stopping:  # that a stopped program died is no failure
                        self._put(error_event(code, message))
                case Again(turn):
                    self._next.set_result(turn)
                case Done():
                    self._next.set_result(None)

    def crash(self, error: AppError) -> None:
        """End the turn, unless it is over: the adapter or its program can't go on."""
        if self._next.done():
            return
        self._error = error
        self._next.set_result(None)
        if self._conversation is not None and self._conversation.program is not None:
            self._conversation.program.end()

    def _break(self, error: AppError) -> None:
        """The journal took nothing more: what is left to say goes past its limit."""
        self.stream.is_forced = True
        self.crash(error)

    def _emit(self, chunk: Body) -> None:
        self._outline.see(chunk)
        self._put(chunk_event(self._stopwatch.timed(chunk, now=self._clock())))

    def _ask(self, ask: Ask) -> None:
        self._answers[ask.approval_id] = ""
        self._asked[ask.approval_id] = ask.tool_call_id
        self._outline.see(ask.chunk)
        question = {
            "approvalId": ask.approval_id,
            "toolCallId": ask.tool_call_id,
            "tool": ask.tool,
            "input": ask.input,
        }
        self._put({**chunk_event(ask.chunk), "approval": question})

    def _put(self, body: Body) -> None:
        self._writer.put(self.stream, body)

    # What people say

    def answer(
        self, approval_id: str, decision: str, reason: str, answers: Answers | None = None
    ) -> None:
        """Give a person's answer to the program; the same answer again changes nothing.

        Raises:
            UnknownApproval: the run doesn't ask that, or not any more.
            AlreadyAnswered: it was answered the other way.
            HarnessCrashed: the adapter failed on it; so has the turn.
        """
        given = self._answers.get(approval_id)
        if given is None or (not given and self._next.done()):
            raise UnknownApproval
        if given and given != decision:
            raise AlreadyAnswered
        if given:
            return
        assert self._conversation is not None
        self._answers[approval_id] = decision
        answer = partial(self._conversation.adapter.answer, approval_id, decision, reason, answers)
        self._carry_out(partial(self._noted_first, answer))

    def _noted_first(self, say: Callable[[], Sequence[Out]]) -> Sequence[Out]:
        """Note that the answer is applied before the program is given it, and return the rest.

        If we die in between, the call was not made, and is not asked for again: should it have
        been made, it would be made twice.
        """
        outs = say()
        self.apply([out for out in outs if isinstance(out, Applied)])
        self._writer.flush()
        return [out for out in outs if not isinstance(out, Applied)]

    def steer(self, steer_id: str, message: Json) -> None:
        """Give a person's message to the program; the same one again changes nothing.

        It is noted before it is given: whatever happens then, it is not given twice.

        Raises:
            NotSteerable: there is no program yet, or its turn is over.
            HarnessCrashed: the adapter failed on it; so has the turn.
        """
        if steer_id in self._steers:
            return
        if self._conversation is None or self._next.done() or self._is_stopping:
            raise NotSteerable
        self._steers.add(steer_id)
        self._put({"type": "steer-taken", "steerId": steer_id})
        self._writer.flush()
        if not self._next.done():  # the journal may just have refused it
            self._carry_out(partial(self._conversation.adapter.steer, steer_id, message))

    async def stop(self, *, grace: float = INTERRUPT_GRACE) -> None:
        """Stop the program: politely, then by signals to its group; returns when it has stopped.

        A program that obeys in time stays alive for the thread's next turn.
        """
        self._is_stopping = True
        conversation = self._conversation
        if conversation is None or self._next.done():
            return
        self._carry_out(conversation.adapter.interrupt)
        await asyncio.wait([self._next], timeout=grace)
        if not self._next.done():
            await conversation.end()  # its end reaches the adapter, which then says Done
        if not self._next.done():
            self._next.set_result(None)

    def _carry_out(self, say: Callable[[], Sequence[Out]]) -> None:
        """Do what the adapter makes of a person's word.

        Raises:
            HarnessCrashed: it failed; the turn ends, for nobody would say the word again.
        """
        try:
            self.apply(say())
        except Exception as exc:
            logger.exception("The adapter failed on an answer or a stop.")
            self.crash(HarnessCrashed())
            raise HarnessCrashed from exc
