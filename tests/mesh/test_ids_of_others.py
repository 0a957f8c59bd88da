"""Every id that a program may send, as the id of something else: refused, or simply its own.

The ids are of Ada's things, who has one of each; they are sent by herself, in the wrong place, and
by Eve, to her own organization and to Ada's.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import serializers
from django.db import transaction
from django.utils import timezone
from rest_framework.test import APIClient

from agents.models import Agent, McpServerRow, ProviderKey
from links.models import Link
from threads import services
from threads.models import Approval, ApprovalRule, Attachment, Message, Run, Thread
from threads.targets import Wish

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

KEPT = [Agent, McpServerRow, ProviderKey, Link, Thread, Message, Run, Approval, ApprovalRule]
SAID = [{"type": "text", "text": "hi"}]

# What a program may send: {id} is somebody's, {thread} the caller's own thread.
T = "/api/{org}/decopilot/threads"
REQUESTS = [
    ("POST", T, {"agentId": "{id}"}),
    ("POST", T + "/{id}/restore", {}),
    ("PATCH", T + "/{id}", {"title": "x"}),
    ("DELETE", T + "/{id}", None),
    ("PUT", T + "/{id}/seen", None),
    ("POST", T + "/{id}/messages", {"messages": [{"role": "user", "parts": SAID}]}),
    (
        "POST",
        T + "/{thread}/messages",
        {"messages": [{"role": "user", "id": "{id}", "parts": SAID}]},
    ),
    (
        "POST",
        T + "/{thread}/messages",
        {"messages": [{"role": "user", "parts": SAID}], "agent": {"id": "{id}"}},
    ),
    (
        "POST",
        T + "/{thread}/messages",
        {"messages": [{"role": "user", "parts": SAID}], "thread_id": "{id}"},
    ),
    (
        "POST",
        T + "/{thread}/messages",
        {"messages": [{"role": "user", "parts": SAID}], "linkId": "{id}"},
    ),
    (
        "POST",
        T + "/{thread}/messages",
        {"messages": [{"role": "user", "parts": SAID}], "harnessId": "{id}"},
    ),
    (
        "POST",
        T + "/{thread}/messages",
        {"messages": [{"role": "user", "parts": SAID}], "branch": "thread:{id}"},
    ),
    (
        "POST",
        T + "/{thread}/messages",
        {
            "messages": [
                {
                    "role": "user",
                    "parts": [
                        *SAID,
                        {"type": "file", "url": "/api/home/decopilot/files/{id}", "mediaType": "x"},
                    ],
                }
            ]
        },
    ),
    ("PATCH", T + "/{thread}/queue/{id}", {"before": "{id}"}),
    ("PATCH", T + "/{thread}/queue/{run}", {"before": "{id}"}),
    ("DELETE", T + "/{thread}/queue/{id}", None),
    ("POST", T + "/{thread}/queue/{id}/steer", {}),
    ("POST", T + "/{thread}/approvals", {"approvalIds": ["{id}", "a1"], "decision": "allow"}),
    ("POST", T + "/{thread}/approvals/{id}", {"decision": "allow"}),
    ("POST", T + "/{thread}/approvals/{id}/carry-out", {}),
    ("DELETE", T + "/{thread}/rules/{id}", None),
    ("PUT", T + "/{id}/level", {"level": "auto"}),
    ("POST", "/api/{org}/decopilot/cancel/{id}", {}),
    ("DELETE", "/api/{org}/decopilot/files/{id}", None),
    ("POST", "/api/{org}/agents", {"title": "{id}"}),
    ("POST", "/api/{org}/agents", {"title": "x", "folder": "/x", "folderLinkId": "{id}"}),
    ("PATCH", "/api/{org}/agents/{id}", {"title": "x"}),
    ("PUT", "/api/{org}/agents/{id}/mcp-servers/tools", {"url": "https://tools.example/mcp"}),
    ("PUT", "/api/{org}/agents/default/mcp-servers/{id}", {"url": "https://tools.example/mcp"}),
    ("DELETE", "/api/{org}/agents/default/mcp-servers/{id}", None),
    ("POST", "/api/{org}/agents/{id}/restore", {}),
    ("PATCH", "/api/{org}/ai-keys/{id}", {"label": "x"}),
    ("DELETE", "/api/{org}/ai-keys/{id}", None),
    ("PUT", "/api/{org}/default-models/smart", {"keyId": "{id}", "modelId": "m"}),
    ("POST", "/api/{org}/tools/VM_DELETE", {"virtualMcpId": "{id}", "branch": "main"}),
    ("POST", "/api/{org}/tools/VM_DELETE", {"virtualMcpId": "default", "branch": "thread:{id}"}),
    ("DELETE", "/api/links/{id}", None),
    ("POST", "/api/links/{id}/probe", {}),
    ("DELETE", "/api/tokens/{id}", None),
]


def filled(value, words):
    """Return a template with its words put in."""
    if isinstance(value, str):
        return value.format(**words)
    if isinstance(value, list):
        return [filled(each, words) for each in value]
    if isinstance(value, dict):
        return {key: filled(each, words) for key, each in value.items()}
    return value


def with_a_thread(owner, agent):
    """A person's thread with a finished answer, a waiting message, a question and a rule."""
    thread = services.create_thread(
        owner=owner, organization=agent.organization, agent=agent, title="t"
    )
    link = Link.objects.create(
        user=owner,
        machine_id=f"m-{owner.pk}",
        cli_version="1",
        protocol_version=1,
        secret_hash=f"s-{owner.pk}",
        capabilities=["decopilot-sandbox", "claude-code"],
        offline_after=timezone.now() + timedelta(minutes=5),
    )
    runs = []
    for key in ("first", "second"):
        message = services.NewMessage(client_id=key, parts=SAID, wish=Wish(harness_id="demo"))
        runs.append(services.post_message(author=owner, thread=thread, message=message))
    services.claim_run(run_id=runs[0].pk)
    services.finish_run(run_id=runs[0].pk, state="failed", code="stuck")
    Approval.objects.create(
        run=runs[1], approval_id="a1", tool_call_id="c", tool="Bash", input={}, level="readonly"
    )
    rule = ApprovalRule.objects.create(thread=thread, tool="Bash", scope="tool")
    return thread, runs, rule, link


@pytest.fixture
def ids(ada, agent):
    """The id of each of Ada's things, by what it is of; and her own thread."""
    thread, runs, rule, link = with_a_thread(ada, agent)
    file = Attachment.objects.create(
        organization=agent.organization,
        owner=ada,
        name="a",
        media_type="text/plain",
        size=1,
        data=b"a",
    )
    key = ProviderKey.objects.create(
        organization=agent.organization, provider="openai", label="k", sealed_key=""
    )
    McpServerRow.objects.create(agent=agent, name="tools", url="https://tools.example")
    found = {
        "agent": agent,
        "thread": thread,
        "ended run and its answer": runs[0],
        "waiting run": runs[1],
        "question": runs[1].approvals.get(),
        "rule": rule,
        "file": file,
        "link": link,
        "key": key,
    }
    return {name: str(one.pk) for name, one in found.items()}


@pytest.fixture
def eves(eve):
    """Eve's own thread, and the message that waits in it."""
    mine = Agent.objects.create(organization=eve.organizations.get(), slug="default", title="Mine")
    thread, runs, _, _ = with_a_thread(eve, mine)
    return {"thread": str(thread.pk), "run": str(runs[1].pk)}


def kept_of(org):
    """All that belongs to an organization and its people, as text."""
    found = {}
    for model in KEPT:
        for row in model.objects.all():
            if owner_of(row) == org.pk:
                found[f"{model.__name__} {row.pk}"] = serializers.serialize("json", [row])
    return found


def owner_of(row):
    for path in ("organization_id", "thread", "run", "agent", "user"):
        if hasattr(row, path):
            at = getattr(row, path)
            if path == "organization_id":
                return at
            return at.organizations.get().pk if path == "user" else owner_of(at)
    raise AssertionError(row)


def send(user, method, path, body, words):
    """Send the request with its words put in; return the status."""
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(user)
    given = () if body is None else (filled(body, words),)
    return getattr(client, method.lower())(path.format(**words), *given).status_code


def test_an_id_in_the_wrong_place_breaks_nothing(ids, ada):
    own = {"org": "home", "thread": ids["thread"], "run": ids["waiting run"]}

    failed = []

    for name, id_ in ids.items():
        for request in REQUESTS:
            with transaction.atomic():
                status = send(ada, *request, {**own, "id": id_})
                transaction.set_rollback(True)
            if status >= 500:
                failed.append((name, *request[:2], status))

    assert not failed


def test_a_stranger_breaks_and_changes_nothing(ids, eves, eve, org):
    before, failed = kept_of(org), []

    for slug in ("other", "home"):
        for name, id_ in ids.items():
            for request in REQUESTS:
                status = send(eve, *request, {"org": slug, "id": id_, **eves})
                is_let_in = slug == "home" and "{org}" in request[1] and status < 400
                if status >= 500 or is_let_in:
                    failed.append((slug, name, *request[:2], status))

    assert not failed
    assert kept_of(org) == before
