"""What there is to do for the dispatcher, read from the rows. It sees all threads."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from agents.catalog import models_of
from agents.selectors import list_mcp_servers
from sandboxes.providers.base import Place
from threads.chunks import ui_message
from threads.core import run_state
from threads.models import Approval, Run
from threads.targets import place_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run on its way to, or on, a machine: all that its follower needs."""

    run_id: UUID
    place: Place
    harness_id: str
    fence: int
    last_n: int
    is_stopping: bool
    input: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A stop or an answer that a machine has yet to be told."""

    id: UUID  # of the run, or of the approval's row
    run_id: UUID
    place: Place
    approval_id: str = ""
    decision: str = ""
    reason: str = ""
    answers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """``queued`` may be claimed, ``active`` are to be followed, ``orphans`` have lost their
    machine for good; ``awaits_stop``: look again soon."""

    queued: list[UUID]
    active: list[UUID]
    stops: list[Delivery]
    answers: list[Delivery]
    orphans: list[UUID]
    awaits_stop: bool


def list_work(*, links: Collection[UUID]) -> Work:
    """Return what is to be done on the machines whose sockets are held here."""
    here = Run.objects.filter(thread__link__in=links)
    stops = _stops(here)
    active = here.filter(state__in=run_state.ACTIVE)
    return Work(
        queued=_first_queued(here),
        active=list(active.values_list("pk", flat=True)),
        stops=stops,
        answers=_answers(links),
        orphans=list(
            Run.objects.filter(state__in=run_state.UNFINISHED, thread__link=None).values_list(
                "pk", flat=True
            )
        ),
        # Also those of other processes: who finds one overdue ends it.
        awaits_stop=Run.objects.filter(
            state__in=run_state.ACTIVE, cancel_requested_at__isnull=False
        ).exists(),
    )


# Told to run, and not yet told to stop.
_STOP_DUE = Q(cancel_requested_at__isnull=False, cancel_delivered_at=None, fence__gt=0)


def _first_queued(here: Any) -> list[UUID]:
    """Return the first queued run of each thread on whose machine nothing of it is going on."""
    in_the_way = Run.objects.filter(thread=OuterRef("thread")).filter(
        Q(state__in=run_state.ACTIVE) | _STOP_DUE
    )
    queued = here.filter(~Exists(in_the_way), state=run_state.QUEUED).order_by(
        "position", "created_at"
    )
    first: dict[UUID, UUID] = {}
    for thread_id, run_id in queued.values_list("thread_id", "pk"):
        first.setdefault(thread_id, run_id)
    return list(first.values())


def _stops(here: Any) -> list[Delivery]:
    due = here.filter(_STOP_DUE).select_related("thread__agent")
    return [Delivery(id=run.pk, run_id=run.pk, place=place_of(run.thread)) for run in due]


def _answers(links: Collection[UUID]) -> list[Delivery]:
    due = Approval.objects.filter(
        run__thread__link__in=links,
        run__state__in=run_state.ACTIVE,
        answered_at__isnull=False,
        delivered_at=None,
    ).select_related("run__thread__agent")
    return [
        Delivery(
            id=approval.pk,
            run_id=approval.run_id,
            place=place_of(approval.run.thread),
            approval_id=approval.approval_id,
            decision=approval.decision,
            reason=approval.reason,
            answers=approval.answers,
        )
        for approval in due
    ]


def find_order(run_id: UUID) -> Order | None:
    """Return what is to be known of an active run; ``None`` when it has ended, or is queued."""
    run = (
        Run.objects.select_related(
            "prompt", "thread__agent", "thread__owner", "thread__organization"
        )
        .filter(pk=run_id, state__in=run_state.ACTIVE, thread__link__isnull=False)
        .first()
    )
    if run is None:
        return None
    return Order(
        run_id=run.pk,
        place=place_of(run.thread),
        harness_id=run.thread.harness_id,
        fence=run.fence,
        last_n=run.last_n,
        is_stopping=run.cancel_requested_at is not None,
        input=harness_input(run),
    )


def harness_input(run: Run) -> dict[str, Any]:
    """Return the HarnessStreamInput of a run. The harness remembers what was said before."""
    thread, agent = run.thread, run.thread.agent
    agent_shown = {"id": str(agent.pk), "slug": agent.slug, "title": agent.title}
    return {
        "threadId": str(thread.pk),
        "taskId": str(thread.pk),
        "runId": str(run.pk),
        "messages": [*run.system_messages, ui_message(run.prompt)],
        "models": models_of(thread.harness_id, run.tier),
        "tier": run.tier,
        "mode": run.mode,
        "temperature": run.temperature,
        "toolApprovalLevel": run.approval_level,
        "user": {"id": str(thread.owner_id), "email": thread.owner.email},
        "organizationId": str(thread.organization_id),
        "organizationSlug": thread.organization.slug,
        "agent": agent_shown,
        "virtualMcp": {
            **agent_shown,
            "instructions": agent.instructions,
            "mcpServers": [server.as_input() for server in list_mcp_servers(agent=agent)],
        },
        "resumeSessionRef": thread.session_ref or None,
        "branch": thread.branch,
        "currentThreadTitle": thread.title or None,
    }
