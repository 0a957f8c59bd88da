"""The chat's pages and the fragment that keeps them fresh. Reads only: the API writes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_GET

from agents.context import Wanted, chat_context
from agents.models import Agent
from agents.selectors import get_agent, get_keys
from links.dist.offer import offer_of
from links.selectors import list_links
from mesh.models import User
from mesh.pairing.metadata import issuer
from mesh.selectors import NotFound, get_membership, list_organizations
from threads import selectors, stylesheet
from threads.models import Thread

DEFAULT_AGENT = "default"  # who a new chat talks to


@require_GET
@login_required
@never_cache
def start(request: HttpRequest) -> HttpResponseBase:
    """Send the person to their first organization."""
    organizations = list_organizations(viewer=_viewer(request))
    if not organizations:
        return render(request, "threads/no_organization.html", status=403)
    return redirect("home", organizations[0].slug)


@require_GET
@login_required
@never_cache
def home(request: HttpRequest, org: str) -> HttpResponse:
    """A new chat: one composer, nothing else to decide."""
    return render(request, "threads/home.html", _context(request, org))


@require_GET
@login_required
@never_cache
def chat(request: HttpRequest, org: str, thread_id: UUID) -> HttpResponse:
    """One thread with all that was said, and the cursor to follow on from."""
    return render(request, "threads/chat.html", _context(request, org, thread_id, whole=True))


@require_GET
@login_required
@never_cache
def live(request: HttpRequest, org: str) -> HttpResponse:
    """What of an open page a change of threads or machines may alter."""
    thread_id = request.GET.get("thread", "")
    try:
        context = _context(request, org, UUID(thread_id) if thread_id else None)
    except ValueError as exc:
        raise Http404 from exc
    return render(request, "_partials/live.html", context)


@require_GET
@cache_control(public=True, max_age=31536000, immutable=True)
def style(request: HttpRequest, digest: str) -> HttpResponse:
    """The joined stylesheet. An old page may ask for an old one: it gets what there is."""
    sheet = stylesheet.current()
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(sheet.packed if packed else sheet.plain, content_type="text/css")
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    return response


def _viewer(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # login_required lets nobody else in
    return request.user


def _context(
    request: HttpRequest, org: str, thread_id: UUID | None = None, *, whole: bool = False
) -> dict[str, Any]:
    """Return what ``shell.html`` needs; with ``whole`` also the messages of the thread."""
    viewer = _viewer(request)
    try:
        organization = get_membership(viewer=viewer, slug=org).organization
        thread = (
            selectors.get_thread(viewer=viewer, org_slug=org, thread_id=thread_id)
            if thread_id
            else None
        )
    except NotFound as exc:
        raise Http404 from exc
    agent = thread.agent if thread else get_agent(organization=organization, name=DEFAULT_AGENT)
    links = list_links(viewer=viewer)
    summary = selectors.thread_summary(thread) if thread else None
    threads = selectors.list_threads(viewer=viewer, organization=organization)
    return {
        "organization": organization,
        "threads": [selectors.thread_summary(each) for each in threads],
        "thread": summary,
        "links": links,
        "offer": offer_of(issuer(request)),
        # A link may carry a choice: "New chat with …". Else it is the last one.
        "chat": chat_context(
            agent=agent,
            links=links,
            pins=thread,
            wanted=_wanted(request, agent, thread),
            keys=get_keys(organization=organization),
        ),
        "level": request.COOKIES.get("mesh_level"),
        "data": {
            "org": organization.slug,
            "agent": str(agent.pk),
            "thread": summary,
            **(selectors.page_of(thread) if thread and whole else {}),
        },
    }


def _wanted(request: HttpRequest, agent: Agent, thread: Thread | None) -> Wanted:
    """Return what was picked: in the address ("New chat with …", or by an open page), else as
    this agent begins, else what this browser picked last."""
    begins = "" if thread and thread.harness_id else agent.default_choice
    return Wanted(
        choice=request.GET.get("choice") or begins or request.COOKIES.get("mesh_choice", ""),
        link_id=request.GET.get("machine") or request.COOKIES.get("mesh_machine", ""),
    )
