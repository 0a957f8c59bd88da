"""A waiting message on its way into the run that goes on: what its sandbox says of it.

Used by the journal's writer and by whoever ends a run, in their transactions, with the thread
locked. The waiting run stays queued until the agent has the message, so it goes out in its turn
if anything goes wrong before; whether the agent has it, the run's own events say, in their order.
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
    """Keep what an attempt's events say of the messages handed over to it.

    Returns ``drafts`` with the messages' words where the agent took them, and what else readers
    are told.
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
    """Settle the messages that were on their way into ``run``, which ends; return what readers
    are told.

    What its sandbox has not taken goes out in its turn. What it took, and said no more of, the
    agent may have read before it died, so it is not sent again: it stands in the answer, whose
    end says what happened. Without the sandbox's last word (``is_told``), whatever may have
    reached it counts as taken.
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
    """The agent has the message: its own run is over before it began."""
    run = steer.run
    Steer.objects.filter(pk=steer.pk).update(applied_at=now)
    if transitions.hand_over(run, now=now) is None:
        return []  # stopped meanwhile, which its readers know
    shown = Draft(steer_chunk(steer), place.run_id, place.fence, place.n)
    told = status_chunk(run_state.STEERED, run_id=run.pk, message_id=run.prompt.client_id)
    # Whoever follows the waiting run alone waits for its end.
    ends = ({"type": "start", "messageId": str(run.pk)}, {"type": "finish"})
    return [shown, Draft(told, run.pk), *(Draft(chunk, run.pk) for chunk in ends)]


def _refused(steer: Steer) -> Draft:
    """It waits for its turn again, and may be handed over another time."""
    Steer.objects.filter(pk=steer.pk).delete()
    return Draft(steering_chunk(steer.run, "refused"), steer.run_id)
