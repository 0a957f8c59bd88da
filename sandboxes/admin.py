"""Sandboxes and vmMap in Django's admin: looked at, stopped, forgotten; never typed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from mesh.lib.errors import AppError
from sandboxes import selectors, services
from sandboxes.core import vm_map
from sandboxes.models import SandboxRunnerState, VmMap
from sandboxes.selectors import Recorded


def stop(found: Recorded) -> None:
    """End the process or container; the record stays, and so do a machine's files."""
    async_to_sync(services.stop_sandbox)(
        agent=found.agent, user_id=found.user_id, branch=found.branch, entry=found.entry
    )


def forget(found: Recorded) -> None:
    """Remove the record; what runs goes on until it is stopped or idle."""
    services.forget_sandbox(
        agent=found.agent, user_id=found.user_id, branch=found.branch, kind=found.entry.kind
    )


class LookedAt(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the checker only
    """Nothing can be added, typed or deleted; who may change may use the actions."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def try_to(
        self, request: HttpRequest, act: Callable[[Recorded], None], found: Recorded, done: str
    ) -> bool:
        """Do it, and tell what became of it."""
        try:
            act(found)
        except AppError as exc:
            self.message_user(request, f"{found.entry.vm_id}: {exc} {exc.hint}", messages.ERROR)
            return False
        self.log_change(request, found.agent, f"{done}: {found.entry.vm_id}.")
        return True


@admin.register(SandboxRunnerState)
class SandboxRunnerStateAdmin(LookedAt):
    """The rows, newest use first."""

    list_display = ("handle", "user", "agent", "branch", "kind", "used_at")
    list_filter = ("sandbox_provider_kind",)
    list_select_related = ("user",)
    search_fields = ("handle", "project_ref", "user__username", "user__email")
    ordering = ("-used_at",)
    fields = readonly_fields = (
        "handle",
        "user",
        "agent",
        "branch",
        "sandbox_provider_kind",
        "state",
        "created_at",
        "used_at",
    )
    actions = ("stop", "forget")

    @admin.display(description="agent")
    def agent(self, row: SandboxRunnerState) -> str:
        found = selectors.find_recorded(row)
        return str(found.agent) if found else "– (removed)"

    @admin.display(description="kind", ordering="sandbox_provider_kind")
    def kind(self, row: SandboxRunnerState) -> str:
        return row.sandbox_provider_kind

    @admin.display(description="branch")
    def branch(self, row: SandboxRunnerState) -> str:
        return row.project_ref.split(":", 2)[-1]

    @admin.action(description="Stop: it starts again when it is used", permissions=["change"])
    def stop(self, request: HttpRequest, rows: QuerySet[SandboxRunnerState]) -> None:
        self._do(request, rows, stop, "Stopped")

    @admin.action(description="Forget: the record goes, files stay", permissions=["change"])
    def forget(self, request: HttpRequest, rows: QuerySet[SandboxRunnerState]) -> None:
        self._do(request, rows, forget, "Forgot")

    def _do(
        self,
        request: HttpRequest,
        rows: QuerySet[SandboxRunnerState],
        act: Callable[[Recorded], None],
        done: str,
    ) -> None:
        count = 0
        for row in rows:
            found = selectors.find_recorded(row)
            if found is None:
                row.delete()  # of an agent that is gone: there is nobody to tell
                count += 1
            else:
                count += self.try_to(request, act, found, done)
        if count:
            sandboxes = "sandbox" if count == 1 else "sandboxes"
            self.message_user(request, f"{done} {count} {sandboxes}.", messages.SUCCESS)


ACTS: dict[str, tuple[Callable[[Recorded], None], str, str]] = {
    "stop": (stop, "Stopped", "Its process ends now; it starts again when it is used."),
    "forget": (
        forget,
        "Forgot",
        "The record goes. Files on a machine stay; the next start finds them again.",
    ),
}


@admin.register(VmMap)
class VmMapAdmin(LookedAt):
    """Each agent's map as a tree: who, which branch, which kind."""

    list_display = ("title", "organization", "sandboxes", "people")
    list_select_related = ("organization",)
    search_fields = ("title", "slug", "organization__slug")
    ordering = ("organization__slug", "title")
    fields = readonly_fields = ("title", "organization", "tree")

    @admin.display(description="sandboxes")
    def sandboxes(self, agent: VmMap) -> int:
        return len(vm_map.list_entries(agent.metadata))

    @admin.display(description="people")
    def people(self, agent: VmMap) -> int:
        return len(vm_map.normalize_vm_map(agent.metadata))

    @admin.display(description="vmMap")
    def tree(self, agent: VmMap) -> SafeString:
        users = [
            {
                "key": user.key,
                "name": user.name,
                "branches": [
                    (branch, [_shown(entry) for entry in entries])
                    for branch, entries in user.branches
                ],
            }
            for user in selectors.tree_of(agent)
        ]
        act = reverse("admin:sandboxes_vmmap_act", args=[agent.pk])
        return render_to_string("admin/sandboxes/tree.html", {"users": users, "act": act})

    def get_urls(self) -> list[URLPattern]:
        act = self.admin_site.admin_view(self.act)
        return [path("<uuid:pk>/act", act, name="sandboxes_vmmap_act"), *super().get_urls()]

    def act(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Ask whether one sandbox is to be stopped or forgotten; a POST does it."""
        agent = get_object_or_404(VmMap, pk=pk)
        if not super().has_change_permission(request):
            return HttpResponse(status=403)
        back = reverse("admin:sandboxes_vmmap_change", args=[pk])
        given = request.POST if request.method == "POST" else request.GET
        cell = {name: given.get(name, "") for name in ("user", "branch", "kind")}
        do = given.get("do", "")
        if do not in ACTS:
            return redirect(back)
        act, done, meaning = ACTS[do]
        found = selectors.find_cell(agent=agent, **cell)
        if found is None:
            self.message_user(request, "That sandbox is not recorded any more.", messages.WARNING)
            return redirect(back)
        if request.method == "POST":
            if self.try_to(request, act, found, done):
                self.message_user(request, f"{done} {found.entry.vm_id}.", messages.SUCCESS)
            return redirect(back)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{do.capitalize()} this sandbox?",
            "opts": VmMap._meta,
            "agent": agent,
            "cell": cell,
            "entry": _shown(found.entry),
            "do": do,
            "meaning": meaning,
            "back": back,
        }
        return TemplateResponse(request, "admin/sandboxes/act.html", context)


def _shown(entry: vm_map.VmEntry) -> dict[str, Any]:
    started, url = entry.started_with, entry.preview_url or ""
    since = datetime.fromtimestamp(entry.created_at / 1000, UTC) if entry.created_at else None
    with_ = [started.package_manager, started.port and f"port {started.port}", started.path]
    return {
        "kind": entry.kind,
        "vm_id": entry.vm_id,
        # Metadata is not ours alone to write: no javascript: behind a link.
        "preview_url": url if url.startswith(("https://", "http://")) else "",
        "machine": entry.link_id,
        "since": since,
        "started_with": ", ".join(part for part in with_ if part),
    }
