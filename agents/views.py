"""The settings pages of agents: plain forms and redirects, without scripts."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents import selectors, services
from agents.forms import AgentForm, McpServerForm
from agents.models import Agent
from agents.services import DEFAULT_SLUG, AgentFields
from agents.templates import find_template, list_templates
from links.selectors import list_links
from mesh.lib.errors import AppError
from mesh.models import Membership, Role, User
from mesh.selectors import NotFound, get_membership


@require_GET
@login_required
@never_cache
def agents(request: HttpRequest, org: str) -> HttpResponse:
    """Every agent of the organization, and the templates of new ones."""
    member = _member(request, org)
    context = {
        **_frame(member),
        "agents": selectors.list_agents(organization=member.organization),
        "templates": list_templates(),
        "repository": request.GET.get("repository", ""),
    }
    return render(request, "settings/agents.html", context)


@require_POST
@login_required
def import_agent(request: HttpRequest, org: str) -> HttpResponseBase:
    """Create an agent from a repository's address, or from a template."""
    organization = _manager(request, org).organization
    try:
        if name := request.POST.get("template"):
            given = find_template(name).filled(AgentFields())
            agent = services.create_agent(organization=organization, given=given)
        else:
            address = request.POST.get("repository", "")
            agent = services.import_agent(organization=organization, repository=address)
    except AppError as refused:
        messages.error(request, f"{refused} {refused.hint}")
        return redirect("settings_agents", org)
    messages.success(request, f"{agent.title} is ready. Here you can change what it does.")
    return redirect("settings_agent", org, agent.slug)


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def new_agent(request: HttpRequest, org: str) -> HttpResponseBase:
    """Create an agent from an empty form."""
    member = _manager(request, org)
    form = _form(request, None)
    if request.method == "POST" and form.is_valid():
        try:
            agent = services.create_agent(organization=member.organization, given=form.given())
        except AppError as refused:
            form.add_error(None, f"{refused} {refused.hint}")
        else:
            messages.success(request, f"{agent.title} is ready.")
            return redirect("settings_agent", org, agent.slug)
    context = {**_frame(member), "form": form, "agent": None}
    return render(request, "settings/agent.html", context)


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def agent(request: HttpRequest, org: str, slug: str) -> HttpResponseBase:
    """One agent: members read it, owners and admins change it."""
    member = _member(request, org) if request.method == "GET" else _manager(request, org)
    shown = _agent(member, slug)
    form = _form(request, shown)
    if request.method == "POST" and form.is_valid():
        try:
            services.change_agent(agent=shown, given=form.given())
        except AppError as refused:
            form.add_error(None, f"{refused} {refused.hint}")
        else:
            messages.success(request, "Saved. New chats use it immediately.")
            return redirect("settings_agent", org, slug)
    return _page(request, member, shown, form, McpServerForm())


@require_POST
@login_required
def put_mcp_server(request: HttpRequest, org: str, slug: str) -> HttpResponseBase:
    """Add an MCP server to the agent."""
    member = _manager(request, org)
    shown = _agent(member, slug)
    form = McpServerForm(request.POST)
    if form.is_valid():
        try:
            services.put_mcp_server(agent=shown, server=form.server())
        except AppError as refused:
            form.add_error(None, str(refused))
        else:
            messages.success(request, f"{form.server().name} was added.")
            return redirect("settings_agent", org, slug)
    return _page(request, member, shown, _form(request, shown, is_sent=False), form)


@require_POST
@login_required
def remove_mcp_server(request: HttpRequest, org: str, slug: str, name: str) -> HttpResponseBase:
    """Remove an MCP server from the agent."""
    services.remove_mcp_server(agent=_agent(_manager(request, org), slug), name=name)
    messages.success(request, f"{name} was removed, and its headers were deleted.")
    return redirect("settings_agent", org, slug)


@require_POST
@login_required
def ask_server_again(request: HttpRequest, org: str, slug: str, name: str) -> HttpResponseBase:
    """Let the next message ask a server that did not answer; members may, it changes no setting."""
    member = _member(request, org)
    if not Role(member.role).starts:
        raise PermissionDenied
    services.ask_server_again(agent=_agent(member, slug), name=name)
    messages.success(request, f"The next message asks {name} again.")
    return redirect("settings_agent", org, slug)


@require_POST
@login_required
def remove_agent(request: HttpRequest, org: str, slug: str) -> HttpResponseBase:
    """Hide the agent from new chats."""
    gone = _agent(_manager(request, org), slug, removed=True)
    try:
        services.remove_agent(agent=gone)
    except AppError as refused:
        messages.error(request, f"{refused} {refused.hint}")
        return redirect("settings_agent", org, slug)
    # The tag names the agent that the page offers to restore.
    messages.info(request, f"{gone.title} was removed. Its chats continue.", extra_tags=gone.slug)
    return redirect("settings_agents", org)


@require_POST
@login_required
def restore_agent(request: HttpRequest, org: str, slug: str) -> HttpResponseBase:
    """Undo the removal."""
    back = _agent(_manager(request, org), slug, removed=True)
    services.restore_agent(agent=back)
    messages.success(request, f"{back.title} is back.")
    return redirect("settings_agents", org)


def _page(
    request: HttpRequest, member: Membership, shown: Agent, form: AgentForm, server: McpServerForm
) -> HttpResponse:
    context = {
        **_frame(member),
        "agent": shown,
        "form": form,
        "servers": selectors.list_mcp_rows(agent=shown),
        "now": timezone.now(),
        "server_form": server.without_secrets(),
        "is_default": shown.slug == DEFAULT_SLUG,
    }
    status = 400 if form.errors or server.errors else 200
    return render(request, "settings/agent.html", context, status=status)


def _frame(member: Membership) -> dict[str, Any]:
    return {
        "organization": member.organization,
        "manages": Role(member.role).manages,
        "page_name": "settings_agents",
    }


def _form(request: HttpRequest, shown: Agent | None, *, is_sent: bool = True) -> AgentForm:
    initial = AgentForm.initial_of(shown) if shown else {"source": "scratch", "icon": "bot"}
    data = request.POST if request.method == "POST" and is_sent else None
    form = AgentForm(data, initial=initial, links=list_links(viewer=_viewer(request)))
    form.use_required_attribute = False  # the fields of the other sources are hidden, not empty
    return form


def _viewer(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # login_required lets nobody else in
    return request.user


def _member(request: HttpRequest, org: str) -> Membership:
    try:
        return get_membership(viewer=_viewer(request), slug=org)
    except NotFound as exc:
        raise Http404 from exc


def _manager(request: HttpRequest, org: str) -> Membership:
    member = _member(request, org)
    if not Role(member.role).manages:
        raise PermissionDenied
    return member


def _agent(member: Membership, slug: str, *, removed: bool = False) -> Agent:
    try:
        return selectors.get_agent(organization=member.organization, name=slug, removed=removed)
    except NotFound as exc:
        raise Http404 from exc
