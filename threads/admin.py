"""Chats and runs in Django's admin: who, where and when, never what was said."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from mesh.admin import Actionable, ReadOnly
from threads import services
from threads.models import Run, Thread
from threads.run import state as run_state
from threads.run.state import WrongMove


@admin.register(Thread)
class ThreadAdmin(ReadOnly):
    """Chats without their titles, which are their first words."""

    list_display = (
        "id",
        "owner",
        "organization",
        "agent",
        "harness_id",
        "sandbox_provider_kind",
        "link",
        "updated_at",
        "deleted_at",
    )
    list_filter = (
        "sandbox_provider_kind",
        "harness_id",
        ("deleted_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("owner", "organization", "agent", "link")
    search_fields = ("=id", "owner__username", "owner__email", "organization__slug")
    ordering = ("-updated_at", "-pk")
    fields = readonly_fields = (
        "id",
        "owner",
        "organization",
        "agent",
        "harness_id",
        "sandbox_provider_kind",
        "link",
        "branch",
        "approval_level",
        "model",
        "effort",
        "last_seq",
        "created_at",
        "updated_at",
        "seen_at",
        "deleted_at",
    )

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Thread | None:
        """Return the row under a name for the page's heading that says nothing."""
        found: Thread | None = super().get_object(request, object_id, from_field)
        if found is not None:
            found.title = f"Chat {found.pk}"  # of this instance only: nothing saves it
        return found


class StateFilter(admin.SimpleListFilter):
    """Runs in one state, or all that have not ended."""

    title = "state"
    parameter_name = "in"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        states = sorted({*run_state.UNFINISHED, *run_state.FINISHED})
        return [("unfinished", "not ended"), *((state, state) for state in states)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        match self.value():
            case None:
                return queryset
            case "unfinished":
                return queryset.filter(finished_at=None)
            case state:
                return queryset.filter(state=state)


@admin.register(Run)
class RunAdmin(Actionable):
    """Runs with their state and its cause, which can be ended here."""

    list_display = (
        "id",
        "person",
        "organization",
        "standing",
        "cause",
        "executor",
        "created_at",
        "finished_at",
    )
    list_filter = (StateFilter, "executor")
    list_select_related = ("thread__owner", "thread__organization")
    search_fields = ("=id", "=thread__id", "thread__owner__username", "thread__organization__slug")
    ordering = ("-created_at", "-pk")
    fields = readonly_fields = (
        "id",
        "chat",
        "person",
        "organization",
        "standing",
        "cause",
        "executor",
        "node",
        "fence",
        "tier",
        "model",
        "mode",
        "created_at",
        "progress_at",
        "finished_at",
        "cancelled_at",
        "stop_due_at",
        "stop_delivered_at",
        "resting_since",
        "leased_until",
    )
    actions = ("end",)

    @admin.display(description="chat")
    def chat(self, run: Run) -> str:
        return str(run.thread_id)

    @admin.display(description="person", ordering="thread__owner__username")
    def person(self, run: Run) -> str:
        return run.thread.owner.username

    @admin.display(description="organization", ordering="thread__organization__slug")
    def organization(self, run: Run) -> str:
        return run.thread.organization.slug

    @admin.display(description="state", ordering="state")
    def standing(self, run: Run) -> str:
        return run.state

    @admin.display(description="cause")
    def cause(self, run: Run) -> str:
        return run.error_code or run.resting_code or "–"

    @admin.action(
        description="End it: its machine is told to stop, its message gets no more answer",
        permissions=["change"],
    )
    def end(self, request: HttpRequest, rows: QuerySet[Run]) -> None:
        ended = 0
        for run in rows.filter(finished_at=None):
            try:
                if services.finish_run(run_id=run.pk, state=run_state.CANCELLED):
                    ended += 1
                    self.log_change(request, run, "Ended.")
            except WrongMove as exc:
                self.message_user(request, f"{run.pk}: {exc}", messages.ERROR)
        self.message_user(request, f"Ended: {ended}.", messages.SUCCESS)
