"""The end of a run in the journal: the last chunks, and the stored answer.

Used by the journal's writer when the agent has finished, and by the services when the server
ends a run, in their transactions, with the thread locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from threads.core.fold import Chunk, Fold, closing, merge
from threads.core.run_errors import explain
from threads.journal import rows
from threads.journal.chunks import status_chunk
from threads.journal.rows import Draft, EventRow
from threads.models import Approval, Message, Run, Thread
from threads.run import state as run_state
from threads.run import transitions
from threads.run.instead import UNAVAILABLE, instead_of
from threads.run.state import Move
from threads.run.steering import settle_steers
from threads.run.transitions import Owed
from threads.run.unfinished_answer import UnfinishedAnswer

TOO_LARGE: Final = "answer_too_large"
NOT_KEPT: Final = "answer_not_kept"

Finish = tuple[Chunk, int]  # the agent's own last chunk, and its number


@dataclass(frozen=True, slots=True)
class Concluded:
    """The journal rows that the end of a run wrote, and what it owes."""

    rows: list[EventRow]
    owed: Owed


def conclude(
    run: Run,
    move: Move,
    *,
    now: datetime,
    before: Sequence[Draft] = (),
    finish: Finish | None = None,
    ahead: UnfinishedAnswer | None = None,
    is_bare: bool = False,
) -> Concluded:
    """Write ``before`` and the last chunks, store the answer, and end ``run``.

    The agent's ``finish``, or one of ours, is the run's last event: a reader that has it finds
    the answer stored. Parts that the agent left open are closed. If the answer is larger than
    ``ANSWER_LIMIT``, its start is stored and the run has failed; ``is_bare`` stores no part
    of it, because that failed already. ``ahead`` is what was folded before the thread was locked.
    """
    before = [*before, *settle_steers(run, is_told=move.is_told, now=now)]
    folded, is_whole = (Fold(is_started=True), False) if is_bare else _fold(run, before, ahead)
    if not is_whole and move.state == run_state.COMPLETED:  # that would hide the loss
        code = NOT_KEPT if is_bare else TOO_LARGE
        move, finish = Move(state=run_state.FAILED, code=code, is_told=move.is_told), None
    instead = instead_of(run) if move.code == UNAVAILABLE else None
    drafts = [
        *before,
        *_last_drafts(run, move, folded, finish=finish, closes=is_whole, instead=instead),
    ]
    for draft in drafts[len(before) :]:
        folded.apply(draft.chunk)
    written = rows.append(run.thread_id, drafts)
    answer = _store_answer(run, move, folded, seq=written[-1].seq, now=now, instead=instead)
    owed = transitions.end(run, move, answer=answer, now=now)
    # A secret that waited for the agent: no agent will get it now.
    Approval.objects.filter(run=run).exclude(sealed_answers="").update(sealed_answers="")
    Thread.objects.filter(pk=run.thread_id).update(updated_at=now)
    return Concluded(written, owed)


def _fold(run: Run, before: Sequence[Draft], ahead: UnfinishedAnswer | None) -> tuple[Fold, bool]:
    """Fold the run's events, and ``before``, up to the limit; return whether that is all, too."""
    if ahead is None or ahead.is_used:  # the commit is tried again: the first try has changed it
        ahead = UnfinishedAnswer()
    ahead.is_used = True
    ahead.read(run)
    ahead.add(before)
    return ahead.fold, ahead.is_whole


def _last_drafts(
    run: Run,
    move: Move,
    folded: Fold,
    *,
    finish: Finish | None,
    closes: bool,
    instead: dict[str, str] | None,
) -> list[Draft]:
    never_sent = run.state == run_state.QUEUED
    status = status_chunk(
        move.state,
        run_id=run.pk,
        message_id=run.prompt.client_id,
        code=move.code,
        text=move.text,
        never_sent=never_sent,
        instead=instead,
    )
    # Readers of the thread show no answer to a message that was never sent. Those of the run alone
    # get an empty one.
    chunks: list[Chunk] = [status] if never_sent else []
    if not folded.is_started:
        chunks.append({"type": "start", "messageId": str(run.pk)})
    if closes:  # part of the chunks would not say what is open
        chunks += closing(folded)
    if finish is None and move.state == run_state.CANCELLED:
        chunks.append({"type": "abort"})
    elif finish is None and move.state != run_state.COMPLETED:
        chunks.append({"type": "error", "errorText": explain(move.code, move.text)[0]})
    if not never_sent:
        chunks.append(status)
    drafts = [Draft(chunk, run.pk) for chunk in chunks]
    if finish is not None:
        chunk, n = finish
        return [*drafts, Draft(chunk, run.pk, run.fence, n)]
    reason = "error" if move.state in (run_state.FAILED, run_state.EXPIRED) else "other"
    return [*drafts, Draft({"type": "finish", "finishReason": reason}, run.pk)]


def _store_answer(
    run: Run,
    move: Move,
    folded: Fold,
    *,
    seq: int,
    now: datetime,
    instead: dict[str, str] | None,
) -> Message:
    metadata: dict[str, Any] = {
        "createdAt": run.created_at.isoformat(),
        "finishedAt": now.isoformat(),
        "runId": str(run.pk),
        "state": move.state,
    }
    if move.code:
        text, hint = explain(move.code, move.text, instead=instead["title"] if instead else "")
        metadata["error"] = {"code": move.code, "message": text, "hint": hint}
        if instead:
            metadata["error"]["instead"] = instead
    return Message.objects.create(
        id=run.pk,
        thread_id=run.thread_id,
        role="assistant",
        client_id=str(run.pk),
        seq=seq,
        parts=rows.clean(folded.parts()),
        metadata=rows.clean(merge(folded.metadata, metadata)),
        created_at=now,
    )
