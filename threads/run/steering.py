"""Steers: waiting messages that are handed over to the active run.

Used by the journal's writer and by the services that end a run, in their transactions, with the
thread locked. The waiting run stays queued until the agent has the message, so it goes out in its
turn if the handover fails; the active run's own events say, in their order, whether the agent has
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from threads.core.decide import STEER, Decision
from threads.journal.chunks import status_chunk, steer_chunk, steering_chunk
from threads.journal.rows import Draft
from threads.models import Run, Steer
from threads.run import state as run_state
from threads.run import transitions


def keep_steers(
    run_id: UUID, decision: Decision, drafts: Iterable[Draft], *, now: datetime
) -> list[Draft]:
    """Record what an attempt's events say of the messages handed over to it.

    Returns ``drafts`` with each message inserted where the agent took it, and the other drafts
    that tell readers.
    """
    steers = _open_steers(run_id)
    by_id = {str(steer.pk): steer for steer in steers}
    taken = [by_id[each] for each in decision.taken if each in by_id]
    Steer.objects.filter(pk__in=[each.pk for each in taken], taken_at=None).update(taken_at=now)
    found: list[Draft] = []
    for draft in drafts:
        if draft.chunk.get("type") != STEER:
            found.append(draft)
        elif steer := by_id.pop(str(draft.chunk["id"]), None):
            found += _steered(steer, draft, now=now)
    for steer_id in decision.not_steered:
        if steer := by_id.pop(steer_id, None):
            found.append(_refused(steer))
    return found


def settle_steers(run: Run, *, is_told: bool, now: datetime) -> list[Draft]:
    """Settle the steers into ``run``, which ends; return the drafts that tell readers.

    A message that its sandbox has not taken goes out in its turn. The agent may have read a taken
    message before it died, so that one is not sent again: the answer contains it, and the end of
    the answer says what happened. Unless the sandbox reported the end itself (``is_told``), a
    message that may have reached it counts as taken.
    """
    drafts: list[Draft] = []
    for steer in _open_steers(run.pk):
        if steer.taken_at is not None or (not is_told and steer.tried_at is not None):
            place = Draft({"type": STEER, "id": str(steer.pk)}, run.pk)
            drafts += _steered(steer, place, now=now)
        else:
            drafts.append(_refused(steer))
    return drafts


def _open_steers(run_id: UUID) -> list[Steer]:
    found = Steer.objects.filter(into=run_id, applied_at=None)
    return list(found.select_related("run__prompt").order_by("asked_at"))


def _steered(steer: Steer, place: Draft, *, now: datetime) -> Sequence[Draft]:
    """Return the drafts of a message that the agent has: its own run ends without starting."""
    run = steer.run
    Steer.objects.filter(pk=steer.pk).update(applied_at=now)
    if transitions.hand_over(run, now=now) is None:
        return []  # stopped meanwhile, which its readers know
    shown = Draft(steer_chunk(steer), place.run_id, place.fence, place.n)
    status = status_chunk(
        run_state.STEERED,
        run_id=run.pk,
        message_id=run.prompt.client_id,
        answered_by=steer.into_id,
    )
    # A stream of the waiting run alone needs an end, which says where the answer is.
    start = {
        "type": "start",
        "messageId": str(run.pk),
        "messageMetadata": {"answeredBy": str(steer.into_id)},
    }
    ends = (start, {"type": "finish"})
    return [shown, Draft(status, run.pk), *(Draft(chunk, run.pk) for chunk in ends)]


def _refused(steer: Steer) -> Draft:
    """Have the message wait for its turn again; return the draft that tells readers."""
    Steer.objects.filter(pk=steer.pk).delete()
    return Draft(steering_chunk(steer.run, "refused"), steer.run_id)
