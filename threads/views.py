"""The chat's pages, and the fragments that update them. They only read: the API writes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from agents.catalog import load_runnable
from agents.context import ChatContext, LastPick, chat_context
from agents.core.branches import is_branch, new_branch
from agents.core.options import Fine, parse_choice, parse_fine
from agents.core.sections import Known
from agents.models import Agent
from agents.selectors import get_agent, get_keys, list_agents
from agents.services import make_default_agent
from links.dist.offer import offer_of
from links.selectors import LinkView, list_links
from mesh.models import Membership, Organization, Role, User
from mesh.pairing.metadata import issuer
from mesh.selectors import NotFound, get_membership, list_organizations
from threads import selectors
from threads.choices import known_in, known_on
from threads.errors import BadPageCursor
from threads.journal.chunks import rules_chunk
from threads.models import Thread
from threads.reading.page_cursors import ThreadCursor
from threads.reading.thread_pages import list_busy, list_threads

DEFAULT_AGENT = "default"  # of a new chat


@require_GET
@login_required
@never_cache
def start(request: HttpRequest) -> HttpResponseBase:
    """Redirect the person to their first organization."""
    organizations = list_organizations(viewer=_viewer(request))
    if not organizations:
        return render(request, "threads/no_organization.html", status=403)
    return redirect("home", organizations[0].slug)


@require_GET
@login_required
@never_cache
def home(request: HttpRequest, org: str) -> HttpResponse:
    """A new chat: a composer, and the agent it is for."""
    context = _context(request, org)
    agent, named = context["agent"], request.GET.get("typed") or request.GET.get("branch", "")
    branches = selectors.list_branches(viewer=_viewer(request), agent=agent)
    branch = named if is_branch(named) else ""
    context |= {
        "organizations": list_organizations(viewer=_viewer(request)),
        "agents": list_agents(organization=context["organization"]),
        "branch": branch,
        "branches": list(dict.fromkeys([*([branch] if branch else []), *branches])),
        "suggested": new_branch(secrets.choice),
    }
    return render(request, "threads/home.html", context)


@require_GET
@login_required
@never_cache
def chat(request: HttpRequest, org: str, thread_id: UUID) -> HttpResponse:
    """One thread with its messages, and the cursor from which to follow it."""
    context = _context(request, org, thread_id, whole=True)
    context["organizations"] = list_organizations(viewer=_viewer(request))
    return render(request, "threads/chat.html", context)


@require_GET
@login_required
@never_cache
def live(request: HttpRequest, org: str) -> HttpResponse:
    """The parts of an open page that show threads and machines, after one has changed."""
    context = _context(request, org, request.GET.get("thread", ""))
    return render(request, "_partials/live.html", context)


@require_GET
@login_required
@never_cache
def older_threads(request: HttpRequest, org: str) -> HttpResponse:
    """The next rows of the list of chats, for a page that has those before them."""
    organization = _organization(request, org)
    context = {"organization": organization, "thread": None, **_chats(request, organization)}
    return render(request, "_partials/older_threads.html", context)


@require_GET
@login_required
@never_cache
def popover(request: HttpRequest, org: str) -> HttpResponse:
    """The harness picker alone: the pill and its popover, for an agent or an open thread."""
    member, thread = _place(request, org, request.GET.get("thread", ""))
    organization = member.organization
    agent = _agent(request, organization, thread)
    context = {
        "organization": organization,
        "thread": selectors.thread_summary(thread) if thread else None,
        "chat": _chat(request, organization, agent, thread, list_links(viewer=_viewer(request))),
    }
    return render(request, "_partials/agents.html", context)


@require_POST
@login_required
def choose(request: HttpRequest, org: str) -> HttpResponseBase:
    """Store the choice made in the popover by a browser without script, and redirect back.

    An invalid choice is left out; the page then shows the default.
    """
    _organization(request, org)
    back = request.POST.get("next", "")
    if not back.startswith("/") or not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = reverse("home", args=[org])
    kind, tier = parse_choice(request.POST.get("choice"))
    known = load_runnable().find(kind)
    picked = ""
    if known and tier in {each.key for each in known.tiers}:
        model = parse_fine(request.POST.get("choice")).model
        effort = request.POST.get(f"effort:{kind}", "")[:40]
        picked = Fine(model=model, effort=effort).after(f"{kind}:{tier}")
    machine = _as_uuid(request.POST.get("machine", ""))
    # Not redirect(), which takes an address without a slash for the name of a view.
    response = HttpResponseRedirect(_with_query(back, choice=picked, machine=str(machine or "")))
    for name, value in (("mesh_choice", picked), ("mesh_machine", str(machine or ""))):
        if value:
            response.set_cookie(
                name, value, max_age=31536000, samesite="Lax", secure=request.is_secure()
            )
    return response


def _viewer(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # login_required lets nobody else in
    return request.user


def _member(request: HttpRequest, org: str) -> Membership:
    """Return the viewer's membership of the organization."""
    try:
        return get_membership(viewer=_viewer(request), slug=org)
    except NotFound as exc:
        raise Http404 from exc


def _organization(request: HttpRequest, org: str) -> Organization:
    """Return the organization, if the viewer is in it."""
    return _member(request, org).organization


def _as_uuid(text: str) -> UUID | None:
    """Return ``text`` as an id, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _place(
    request: HttpRequest, org: str, thread_id: UUID | str
) -> tuple[Membership, Thread | None]:
    """Return the viewer's membership and, if one is named, the thread; not found unless both are
    the viewer's."""
    member = _member(request, org)
    if not thread_id:
        return member, None
    known = thread_id if isinstance(thread_id, UUID) else _as_uuid(thread_id)
    if known is None:
        raise Http404
    try:
        viewer = _viewer(request)
        return member, selectors.get_thread(viewer=viewer, org_slug=org, thread_id=known)
    except NotFound as exc:
        raise Http404 from exc


def _agent(request: HttpRequest, organization: Organization, thread: Thread | None) -> Agent:
    """Return the thread's agent, or the agent of a new chat (``?agent=``)."""
    if thread is not None:
        return thread.agent
    name = request.GET.get("agent") or DEFAULT_AGENT
    try:
        return get_agent(organization=organization, name=name)
    except NotFound as exc:
        if name == DEFAULT_AGENT:  # of a new organization, whose first page this is
            return make_default_agent(organization=organization)
        raise Http404 from exc


def _chat(
    request: HttpRequest,
    organization: Organization,
    agent: Agent,
    thread: Thread | None,
    links: list[LinkView],
) -> ChatContext:
    return chat_context(
        agent=agent,
        links=links,
        pins=thread,
        wanted=_wanted(request, agent, thread),
        keys=get_keys(organization=organization),
        offers=partial(_offers, thread),
    )


def _offers(thread: Thread | None, link: LinkView | None) -> Mapping[str, Known]:
    """Return what is known of the programs: in the thread, or on the machine of a new one."""
    if thread is not None and thread.harness_id:
        return {thread.harness_id: known_in(thread)}
    return known_on(link.id, link.harnesses) if link else {}


def _context(
    request: HttpRequest, org: str, thread_id: UUID | str = "", *, whole: bool = False
) -> dict[str, Any]:
    """Return the context of ``shell.html``; with ``whole`` also the messages of the thread."""
    viewer = _viewer(request)
    member, thread = _place(request, org, thread_id)
    organization = member.organization
    agent = _agent(request, organization, thread)
    links = list_links(viewer=viewer)
    summary = selectors.thread_summary(thread) if thread else None
    return {
        "organization": organization,
        "reads_only": not Role(member.role).starts,
        **_chats(request, organization),
        "thread": summary,
        "links": links,
        "offer": offer_of(issuer(request)),
        "server": issuer(request),
        "agent": agent,
        "chat": _chat(request, organization, agent, thread, links),
        # The cookie is for new chats: a thread has the same level in every browser.
        "level": (thread and thread.approval_level) or request.COOKIES.get("mesh_level"),
        "data": {
            "org": organization.slug,
            "version": settings.MESH_VERSION,
            "agent": str(agent.pk),
            "thread": summary,
            **(_page_of(thread) if thread and whole else {}),
        },
    }


def _chats(request: HttpRequest, organization: Organization) -> dict[str, Any]:
    """Return the list of chats: the busy ones and the newest; or by the address, the results of a
    search (``?search=``), or the page after a cursor (``?chats=``)."""
    viewer, search = _viewer(request), request.GET.get("search", "")[:200].strip()
    behind, down_to = _cursor(request, "chats"), _cursor(request, "upto")
    page = list_threads(
        viewer=viewer, organization=organization, behind=behind, down_to=down_to, search=search
    )
    are_all = not search and behind is None and page.older is None
    busy = list_busy(viewer=viewer, organization=organization, known=page.threads, are_all=are_all)
    shown = {thread.pk: thread for thread in page.threads}
    if not search and behind is None:
        shown |= {thread.pk: thread for thread in busy}
    threads = sorted(shown.values(), key=lambda thread: thread.updated_at, reverse=True)
    states = [selectors.thread_summary(thread)["status"] for thread in busy]
    return {
        "threads": [selectors.thread_summary(thread) for thread in threads],
        "older": page.older,
        "search": search,
        "is_later": behind is not None,
        "needs": states.count("requires_action"),
    }


def _cursor(request: HttpRequest, name: str) -> ThreadCursor | None:
    text = request.GET.get(name)
    try:
        return ThreadCursor.parse(text) if text else None
    except BadPageCursor as exc:
        raise BadRequest(str(exc)) from exc


def _wanted(request: HttpRequest, agent: Agent, thread: Thread | None) -> LastPick:
    """Return the choice: from the address ("New chat with …", or by an open page), else the
    thread's own, the agent's default, and for a new chat this browser's last one."""
    own = agent.default_choice
    if thread and thread.harness_id:
        chosen = f"{thread.harness_id}:{selectors.last_tier(thread=thread)}"
        own = Fine(model=thread.model, effort=thread.effort).after(chosen)
    return LastPick(
        choice=request.GET.get("choice") or own or request.COOKIES.get("mesh_choice", ""),
        link_id=request.GET.get("machine") or request.COOKIES.get("mesh_machine", ""),
    )


def _with_query(address: str, **values: str) -> str:
    """Return ``address`` with these parameters replaced or added; empty ones change nothing."""
    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query)) | {name: text for name, text in values.items() if text}
    return urlunsplit(parts._replace(query=urlencode(query, safe=":")))


def _page_of(thread: Thread) -> dict[str, Any]:
    """Return the first data of an open thread: messages, cursor, queue and rules."""
    return {
        "rules": rules_chunk(selectors.list_rules(thread=thread))["data"]["rules"],
        **selectors.page_of(thread, is_short=True),
    }
