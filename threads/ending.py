"""How a run ends in the journal: the last chunks, the stored answer, the finished row.

Used by the journal's writer when the agent is done, and by the services when the server
ends a run. All of it happens in the caller's transaction, with the thread locked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import F

from threads import rows
from threads.chunks import status_chunk
from threads.core import run_state
from threads.core.fold import Chunk, Fold, closing, merge
from threads.core.run_errors import explain
from threads.models import Event, Message, Run, Thread
from threads.rows import Draft, EventRow
from threads.steering import settle_steers

# The code of a run whose message was taken back before it went out: pages show neither.
WITHDRAWN: Final = "withdrawn"
# Characters of an answer's chunks. It is one value of one row, folded while all others wait;
# PostgreSQL itself gives up at 256 MB.
ANSWER_LIMIT: Final = 16 * 1024 * 1024
TOO_LARGE: Final = "answer_too_large"
NOT_KEPT: Final = "answer_not_kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """In which state a run ends, why, and the agent's own last chunk, if it sent one.

    ``is_told``: its sandbox has said all of it; else it ends by the server's word.
    """

    state: str
    code: str = ""
    text: str = ""
    finish: tuple[Chunk, int] | None = None
    is_told: bool = False


def conclude(
    run: Run, ending: Ending, *, before: Sequence[Draft], now: datetime, is_bare: bool = False
) -> list[EventRow]:
    """Write ``before`` and the last chunks, store the answer, and finish ``run``'s row.

    Returns the rows it wrote.

    The agent's ``finish``, or one of ours, is the run's last event: whoever reads it finds
    the answer stored. What the agent left open is closed for it. Of an answer beyond
    ``ANSWER_LIMIT`` the beginning is stored, and the run has failed; ``is_bare`` stores nothing
    of it, because that failed already.
    """
    before = [*before, *settle_steers(run, is_told=ending.is_told, now=now)]
    folded = Fold(is_started=True)
    is_whole = not is_bare and _fold(run, before, into=folded)
    if not is_whole:
        ending = _cut(ending, NOT_KEPT if is_bare else TOO_LARGE)
    drafts = [*before, *_last_drafts(run, ending, folded, closes=is_whole)]
    for draft in drafts[len(before) :]:
        folded.apply(draft.chunk)
    written = rows.append(run.thread_id, drafts)
    answer = _store_answer(run, ending, folded, seq=written[-1].seq, now=now)
    run.state, run.finished_at, run.progress_at, run.answer = ending.state, now, now, answer
    run.error_code, run.error_text = ending.code, ending.text
    run.save(
        update_fields=[
            "state",
            "finished_at",
            "progress_at",
            "answer",
            "error_code",
            "error_text",
            "last_n",
            "usage",
        ]
    )
    Thread.objects.filter(pk=run.thread_id).update(updated_at=now)
    return written


def _fold(run: Run, before: Sequence[Draft], *, into: Fold) -> bool:
    """Fold what the run has said, and ``before``; say whether that is all of it."""
    into.is_started = False
    texts = Event.objects.filter(run=run).order_by("seq").values_list("chunk", flat=True)
    room = ANSWER_LIMIT
    for text in texts.iterator(chunk_size=500):
        room -= len(text)
        if room < 0:
            return False
        into.apply(json.loads(text))
    for draft in before:
        room -= len(rows.encode(draft.chunk))
        if room < 0:
            return False
        into.apply(draft.chunk)
    return True


def _cut(ending: Ending, code: str) -> Ending:
    """Return how a run ends whose answer is not kept whole: a success it can't be."""
    if ending.state != run_state.COMPLETED:
        return ending
    return Ending(state=run_state.FAILED, code=code)


def _last_drafts(run: Run, ending: Ending, folded: Fold, *, closes: bool) -> list[Draft]:
    chunks: list[Chunk] = []
    if not folded.is_started:
        chunks.append({"type": "start", "messageId": str(run.pk)})
    if closes:  # of a part of the chunks nobody knows what is open
        chunks += closing(folded)
    if ending.finish is None and ending.state == run_state.CANCELLED:
        chunks.append({"type": "abort"})
    elif ending.finish is None and ending.state != run_state.COMPLETED:
        chunks.append({"type": "error", "errorText": explain(ending.code, ending.text)[0]})
    chunks.append(
        status_chunk(
            ending.state,
            run_id=run.pk,
            message_id=run.prompt.client_id,
            code=ending.code,
            text=ending.text,
        )
    )
    drafts = [Draft(chunk, run.pk) for chunk in chunks]
    if ending.finish is not None:
        chunk, n = ending.finish
        return [*drafts, Draft(chunk, run.pk, run.fence, n)]
    reason = "error" if ending.state in (run_state.FAILED, run_state.EXPIRED) else "other"
    return [*drafts, Draft({"type": "finish", "finishReason": reason}, run.pk)]


def _store_answer(run: Run, ending: Ending, folded: Fold, *, seq: int, now: datetime) -> Message:
    metadata: dict[str, Any] = {
        "createdAt": run.created_at.isoformat(),
        "finishedAt": now.isoformat(),
        "runId": str(run.pk),
        "state": ending.state,
    }
    if ending.code:
        text, hint = explain(ending.code, ending.text)
        metadata["error"] = {"code": ending.code, "message": text, "hint": hint}
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


def lock_run(run_id: Any) -> Run | None:
    """Return the run, locked behind its thread; ``None`` when it is gone."""
    thread_id = Run.objects.filter(pk=run_id).values_list("thread_id", flat=True).first()
    if thread_id is None:
        return None
    rows.lock(thread_id)
    return (
        Run.objects.select_for_update(of=("self",))
        .select_related("prompt", "thread__agent", "thread__link")
        .filter(pk=run_id)
        .annotate(owner_id=F("thread__owner_id"))
        .first()
    )
