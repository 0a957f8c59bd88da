"""Threads of a removed member that get another owner, once nothing in them runs any more.

A run that is stopping is still known to its machine and its sandbox as the former owner's, so a
thread changes hands only when its runs have ended and no stop is due. ``Thread.handing_to`` keeps
the intention until then, over any crash.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from mesh.models import Membership
from threads.models import ApprovalRule, Thread
from threads.services.announcements import announce
from threads.services.deletion import HAS_UNFINISHED, OWES_STOP, WORKS_ON

AT_ONCE: Final = 100  # threads that one call hands over


def hand_over_threads() -> int:
    """Give threads that are ready to their new owners; return how many. Safe to repeat.

    Several processes may call it at the same time: each skips threads that another has locked.
    A machine that was signed out takes no stop, so none is waited for.
    """
    waiting = Thread.objects.filter(handing_to__isnull=False, deleted_at=None)
    is_gone = Q(link__revoked_at__isnull=False)
    ready = waiting.filter(~HAS_UNFINISHED).filter(is_gone | (~OWES_STOP & ~WORKS_ON))
    ids = list(ready.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    return sum(_hand_over(thread_id) for thread_id in ids)


def _hand_over(thread_id: UUID) -> bool:
    with transaction.atomic():
        locked = Thread.objects.select_for_update(of=("self",), skip_locked=True)
        thread = locked.filter(pk=thread_id, handing_to__isnull=False, deleted_at=None).first()
        # A run may have begun since: of somebody who came back.
        if thread is None or thread.runs.filter(finished_at=None).exists():
            return False
        heir = thread.handing_to
        members = Membership.objects.filter(organization=thread.organization_id)
        if heir is None or not members.filter(user=heir, user__is_active=True).exists():
            Thread.objects.filter(pk=thread_id).update(handing_to=None)  # then it is kept
            return False
        # What the former owner allowed the agent, the heir has not. The machine is not theirs.
        ApprovalRule.objects.filter(thread=thread).delete()
        Thread.objects.filter(pk=thread_id).update(
            owner=heir,
            handing_to=None,
            link=None,
            approval_level="",
            seen_at=timezone.now(),
        )
        announce(thread_id=thread.pk, owner_id=heir.pk)
    return True
