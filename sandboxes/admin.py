"""Sandboxes and vmMap in Django's admin: read-only, with actions to stop and forget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from links.wire.names import is_key
from mesh.lib.errors import AppError
from sandboxes import selectors, services
from sandboxes.core import vm_map
from sandboxes.core.kinds import REMOTE_USER
from sandboxes.models import SandboxRunnerState, VmMap
from sandboxes.selectors import SandboxRecord


def stop(found: SandboxRecord) -> None:
    """End the process or container; the record stays, and so do a machine's files."""
    async_to_sync(services.stop_sandbox)(
        agent=found.agent, user_id=found.user_id, branch=found.branch, entry=found.entry
    )


def forget(found: SandboxRecord) -> None:
    """Remove the record; a running sandbox continues until it is stopped or idle."""
    services.forget_sandbox(
        agent=found.agent, user_id=found.user_id, branch=found.branch, kind=found.entry.kind
    )


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the checker only
    """Objects can't be added, edited or deleted; the change permission allows the actions."""

    class Media:
        css = {"all": ["mesh/css/admin-sandboxes.css"]}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = str(self.model._meta.verbose_name_plural)
        return super().changelist_view(request, {"title": title[0].upper() + title[1:]})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def perform(
        self,
        request: HttpRequest,
        act: Callable[[SandboxRecord], None],
        found: SandboxRecord,
        done: str,
    ) -> bool:
        """Run the action on one sandbox, log it, and show an error; return whether it worked."""
        try:
            act(found)
        except AppError as exc:
            text = f"Sandbox {found.entry.vm_id}: {exc} {exc.hint}"
            self.message_user(request, text, messages.ERROR)
            return False
        self.log_change(request, found.agent, f"{done}: {found.entry.vm_id}.")
        return True


def add_names(rows: Sequence[Any]) -> list[Any]:
    """Add the names of agents and machines to the rows: two queries for a page of them."""
    names = selectors.machine_names(row.link_id for row in rows)
    for row, found in zip(rows, selectors.find_all_recorded(rows), strict=True):
        row.agent_name = str(found.agent) if found else ""
        gone = "– (removed)" if row.link_id else "–"
        row.machine_name = names.get(row.link_id, gone)
    return list(rows)


class AnnotatedChangeList(ChangeList):
    """A list whose rows have the names of their agents and machines."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = add_names(list(self.result_list))


@admin.register(SandboxRunnerState)
class SandboxRunnerStateAdmin(ReadOnlyAdmin):
    """The rows, newest use first."""

    list_display = ("handle", "user", "agent", "branch", "where", "used")
    list_filter = ("sandbox_provider_kind",)
    list_select_related = ("user",)
    search_fields = ("handle", "project_ref", "user__username", "user__email")
    ordering = ("-used_at",)
    list_per_page = 50
    fields = readonly_fields = (
        "handle",
        "user",
        "agent",
        "branch",
        "kind",
        "machine",
        "state_of",
        "created_at",
        "used_at",
        "notes",
    )
    actions = ("stop", "forget")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return AnnotatedChangeList

    def get_object(self, request: HttpRequest, *args: Any) -> SandboxRunnerState | None:
        row: SandboxRunnerState | None = super().get_object(request, *args)
        return add_names([row])[0] if row else None

    @admin.display(description="agent")
    def agent(self, row: Any) -> str:
        return row.agent_name or "– (removed)"

    @admin.display(description="machine")
    def machine(self, row: Any) -> str:
        return str(row.machine_name)

    @admin.display(description="state")
    def state_of(self, row: Any) -> str:
        if row.started_at is None:
            return "starting, or failed to start"
        return f"started {localtime(row.started_at):%Y-%m-%d %H:%M}"

    @admin.display(description="kind", ordering="sandbox_provider_kind")
    def kind(self, row: SandboxRunnerState) -> str:
        return row.sandbox_provider_kind

    @admin.display(description="branch")
    def branch(self, row: SandboxRunnerState) -> str:
        branch = row.project_ref.split(":", 2)[-1]
        return "– (one chat’s folder)" if is_key(branch) else branch

    @admin.display(description="where", ordering="sandbox_provider_kind")
    def where(self, row: Any) -> str:
        on = row.link_id is not None or row.sandbox_provider_kind == REMOTE_USER
        return f"{row.sandbox_provider_kind}: {row.machine_name}" if on else self.kind(row)

    @admin.display(description="provider's notes")
    def notes(self, row: SandboxRunnerState) -> str:
        # Only the names: a later provider might store a secret there.
        return ", ".join(sorted(row.state)) or "–"

    @admin.display(description="last used", ordering="used_at")
    def used(self, row: SandboxRunnerState) -> str:
        is_starting = row.started_at is None
        at = f"{localtime(row.used_at):%Y-%m-%d %H:%M}"
        return f"{at} ({self.state_of(row)})" if is_starting else at

    @admin.action(description="Stop: it starts again when it is used", permissions=["change"])
    def stop(self, request: HttpRequest, rows: QuerySet[SandboxRunnerState]) -> None:
        self._do(request, rows, stop, "Stopped")

    @admin.action(description="Forget: remove the record, keep the files", permissions=["change"])
    def forget(self, request: HttpRequest, rows: QuerySet[SandboxRunnerState]) -> None:
        self._do(request, rows, forget, "Forgot")

    def _do(
        self,
        request: HttpRequest,
        rows: QuerySet[SandboxRunnerState],
        act: Callable[[SandboxRecord], None],
        done: str,
    ) -> None:
        count = 0
        listed = list(rows)
        for row, found in zip(listed, selectors.find_all_recorded(listed), strict=True):
            if found is not None:
                count += self.perform(request, act, found, done)
            elif act is forget:
                row.delete()
                count += 1
            else:
                why = "its agent was removed, so it can't be stopped from here. Forget it instead."
                self.message_user(request, f"Sandbox {row.handle}: {why}", messages.ERROR)
        if count:
            sandboxes = "sandbox" if count == 1 else "sandboxes"
            self.message_user(request, f"{done} {count} {sandboxes}.", messages.SUCCESS)


ACTS: dict[str, tuple[Callable[[SandboxRecord], None], str, str]] = {
    "stop": (stop, "Stopped", "Its process ends now. It starts again when it is used."),
    "forget": (
        forget,
        "Forgot",
        "The record is removed. Files on a machine stay; the next start finds them again.",
    ),
}


@admin.register(VmMap)
class VmMapAdmin(ReadOnlyAdmin):
    """Each agent's map as a tree of people, branches and kinds."""

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
        tree = selectors.tree_of(agent)
        names = selectors.machine_names(
            entry.machine for user in tree for _, entries in user.branches for entry in entries
        )
        users = [
            {
                "key": user.key,
                "name": user.name,
                "branches": [
                    (branch, [_shown(entry, names) for entry in entries])
                    for branch, entries in user.branches
                    if entries
                ],
            }
            for user in tree
        ]
        act = reverse("admin:sandboxes_vmmap_act", args=[agent.pk])
        return render_to_string("admin/sandboxes/tree.html", {"users": users, "act": act})

    def get_urls(self) -> list[URLPattern]:
        act = self.admin_site.admin_view(self.act)
        return [path("<uuid:pk>/act", act, name="sandboxes_vmmap_act"), *super().get_urls()]

    def act(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Ask for confirmation to stop or forget one sandbox; a POST does it."""
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
            self.message_user(request, "That sandbox is no longer recorded.", messages.WARNING)
            return redirect(back)
        if request.method == "POST":
            if self.perform(request, act, found, done):
                self.message_user(request, f"{done} {found.entry.vm_id}.", messages.SUCCESS)
            return redirect(back)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{do.capitalize()} this sandbox?",
            "opts": VmMap._meta,
            "agent": agent,
            "cell": cell,
            "entry": _shown(found.entry, selectors.machine_names([found.entry.machine])),
            "do": do,
            "meaning": meaning,
            "back": back,
        }
        return TemplateResponse(request, "admin/sandboxes/act.html", context)


def _without_secrets(url: str) -> str:
    """Return the address without user, password, query and fragment; empty unless it is HTTP.

    Other programs write metadata, too: a link must not be a javascript: address either.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if parts.scheme not in {"https", "http"} or not host:
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"


def _shown(entry: vm_map.VmEntry, names: Mapping[UUID, str]) -> dict[str, Any]:
    started, url = entry.started_with, entry.preview_url or ""
    since = datetime.fromtimestamp(entry.created_at / 1000, UTC) if entry.created_at else None
    with_ = [started.package_manager, started.port and f"port {started.port}", started.path]
    return {
        "kind": entry.kind,
        "vm_id": entry.vm_id,
        "preview_url": _without_secrets(url),
        "machine": names.get(entry.machine, "removed") if entry.machine else entry.link_id,
        "since": since,
        "started_with": ", ".join(part for part in with_ if part),
    }
