"""Who is let in at every address of the URL map; an address without a row here fails.

Refusals are tried with every method, so that nothing is open beside what a page uses.
"""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client
from django.urls import get_resolver
from django.urls.resolvers import URLPattern

pytestmark = pytest.mark.thorough

IN, SIGN_IN, FORBIDDEN, UNKNOWN = "in", "sign-in", "forbidden", "unknown"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

# What is met there by a stranger, by Eve of another organization, by Bob, a plain member of
# Ada's, and by Ada, who owns the organization, its threads and her machine. Last, what the token
# of her machine meets, which an agent on it can read. Ann, an admin, and Vic, a viewer, meet what
# Ada or Bob does (``wanted``).
ANYBODY = (IN, IN, IN, IN, IN)
PERSON = (SIGN_IN, IN, IN, IN, FORBIDDEN)
MEMBER = (SIGN_IN, UNKNOWN, IN, IN, FORBIDDEN)
MANAGER = (SIGN_IN, UNKNOWN, FORBIDDEN, IN, FORBIDDEN)
OWN = (SIGN_IN, UNKNOWN, UNKNOWN, IN, FORBIDDEN)
PAGE = (SIGN_IN, IN, IN, IN, SIGN_IN)  # for browsers: no token is read there
MEMBER_PAGE = (SIGN_IN, UNKNOWN, IN, IN, SIGN_IN)
MANAGER_PAGE = (SIGN_IN, UNKNOWN, FORBIDDEN, IN, SIGN_IN)
OWN_PAGE = (SIGN_IN, UNKNOWN, UNKNOWN, IN, SIGN_IN)
MACHINE = (SIGN_IN, IN, IN, IN, IN)
TOKEN = (SIGN_IN, SIGN_IN, SIGN_IN, SIGN_IN, IN)  # a session is worth nothing
PROOF = (SIGN_IN,) * 5  # no sign-in is worth anything: a signature is asked for
STAFF = (SIGN_IN,) * 5  # none of these five is
NOT_SET_UP = (SIGN_IN, UNKNOWN, UNKNOWN, UNKNOWN, SIGN_IN)  # for those with a second factor
ROLES = ("stranger", "eve", "bob", "ada", "machine")
EVERYBODY = (*ROLES, "ann", "vic")

ACCOUNTS = {  # allauth's own
    "accounts/login/": ANYBODY,
    "accounts/logout/": ANYBODY,
    "accounts/inactive/": ANYBODY,
    "accounts/signup/": (FORBIDDEN,) * 5,  # closed unless the operator opens it
    "accounts/reauthenticate/": PAGE,
    "accounts/email/": PAGE,
    "accounts/confirm-email/": ANYBODY,
    "accounts/confirm-email/<path:rest>": ANYBODY,
    "accounts/password/change/": PAGE,
    "accounts/password/set/": PAGE,
    "accounts/password/reset/": ANYBODY,
    "accounts/password/reset/<path:rest>": ANYBODY,
    "accounts/password/reset/done/": ANYBODY,
    "accounts/password/reset/key/done/": ANYBODY,
    "accounts/login/code/confirm/": PAGE,
    "accounts/2fa/": PAGE,
    "accounts/2fa/authenticate/": PAGE,
    "accounts/2fa/reauthenticate/": PAGE,
    "accounts/2fa/totp/activate/": PAGE,
    "accounts/2fa/totp/deactivate/": NOT_SET_UP,
    "accounts/2fa/recovery-codes/": NOT_SET_UP,
    "accounts/2fa/recovery-codes/generate/": PAGE,
    "accounts/2fa/recovery-codes/download/": NOT_SET_UP,
}
MACHINES = {
    "accounts/machines/": PAGE,
    "accounts/machines/list": PAGE,
    "accounts/machines/<uuid:link_id>/check": OWN_PAGE,
    "accounts/machines/<uuid:link_id>/sign-out": OWN_PAGE,
    "accounts/machines/tokens": PAGE,
    "accounts/machines/tokens/<uuid:token_id>/revoke": OWN_PAGE,
    "accounts/organizations/new": (SIGN_IN, IN, FORBIDDEN, IN, SIGN_IN),
    "identity/o/device": PAGE,
    "identity/o/api/device/code": ANYBODY,
    "identity/o/api/token": ANYBODY,
    "identity/o/api/revoke": ANYBODY,
    ".well-known/openid-configuration": ANYBODY,
    ".well-known/oauth-authorization-server": ANYBODY,
    ".well-known/oauth-protected-resource": ANYBODY,
    "dist/": ANYBODY,
    "dist/command": ANYBODY,
    "api/links": MACHINE,
    "api/links/heartbeat": PROOF,
    "api/links/me": MACHINE,
    "api/links/<uuid:link_id>": OWN,
    "api/links/<uuid:link_id>/probe": OWN,
    "api/links/stream": TOKEN,
    "api/tokens": PERSON,
    "api/tokens/<uuid:token_id>": OWN,
    "api/<slug:org>/tools/LINK_CURRENT_GET": MEMBER,
}
API = {
    "agents": MEMBER,
    "agents/<slug:name>": MEMBER,
    "agents/<slug:name>/restore": MANAGER,
    "agents/<slug:name>/mcp-servers/<slug:server>": MANAGER,
    "decopilot/threads": MEMBER,
    "decopilot/threads/deleted": MEMBER,
    "decopilot/threads/<uuid:thread_id>": OWN,
    "decopilot/threads/<uuid:thread_id>/restore": OWN,
    "decopilot/threads/<uuid:thread_id>/seen": OWN,
    "decopilot/threads/<uuid:thread_id>/messages": OWN,
    "decopilot/threads/<uuid:thread_id>/messages/<uuid:message_id>/part": OWN,
    "decopilot/threads/<uuid:thread_id>/stream": OWN,
    "decopilot/threads/<uuid:thread_id>/queue": OWN,
    "decopilot/threads/<uuid:thread_id>/background/<str:task_id>": OWN,
    "decopilot/threads/<uuid:thread_id>/queue/<uuid:run_id>": OWN,
    "decopilot/threads/<uuid:thread_id>/queue/<uuid:run_id>/steer": OWN,
    "decopilot/threads/<uuid:thread_id>/queue/<uuid:run_id>/send": OWN,
    "decopilot/threads/<uuid:thread_id>/approvals": OWN,
    "decopilot/threads/<uuid:thread_id>/approvals/<str:approval_id>": OWN,
    "decopilot/threads/<uuid:thread_id>/approvals/<str:approval_id>/carry-out": OWN,
    "decopilot/threads/<uuid:thread_id>/rules": OWN,
    "decopilot/threads/<uuid:thread_id>/rules/<uuid:rule_id>": OWN,
    "decopilot/threads/<uuid:thread_id>/mcp/<str:name>": PROOF,
    "decopilot/agent-options": MEMBER,
    "decopilot/threads/<uuid:thread_id>/agent-options": OWN,
    "decopilot/threads/<uuid:thread_id>/level": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/preview": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/port": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/settings": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/setup/<str:step>": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/take-along": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/events": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/files": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/files/marks": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/files/text": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/files/find": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/files/search": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/files/save": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/files/mkdir": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/files/rename": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/files/delete": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/files/restore": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/files/upload": OWN,
    "decopilot/threads/<uuid:thread_id>/sandbox/files/download": OWN,
    "decopilot/files": MEMBER,
    "decopilot/files/<uuid:file_id>": OWN,
    "decopilot/cancel/<uuid:thread_id>": OWN,
    "tools/VM_START": MEMBER,
    "tools/VM_DELETE": MEMBER,
    "tools/ensure_vm": MEMBER,
    "vm-events": MEMBER,
    "vm/<str:vm_id>/<path:branch>/events": MEMBER,
    "vm/<str:vm_id>/<path:rest>": MEMBER,
    "ai-providers": MEMBER,
    "ai-keys": MEMBER,
    "ai-keys/<uuid:key_id>": MANAGER,
    "ai-keys/<uuid:key_id>/test": MANAGER,
    "default-models": MEMBER,
    "default-models/<str:tier>": MANAGER,
}
PAGES = {
    "<slug:org>/settings/ai-providers": MEMBER_PAGE,
    "<slug:org>/settings/agents": MEMBER_PAGE,
    "<slug:org>/settings/agents/import": MANAGER_PAGE,
    "<slug:org>/settings/agents/new": MANAGER_PAGE,
    "<slug:org>/settings/agents/of/<slug:slug>": MEMBER_PAGE,
    "<slug:org>/settings/agents/of/<slug:slug>/remove": MANAGER_PAGE,
    "<slug:org>/settings/agents/of/<slug:slug>/restore": MANAGER_PAGE,
    "<slug:org>/settings/agents/of/<slug:slug>/servers": MANAGER_PAGE,
    "<slug:org>/settings/agents/of/<slug:slug>/servers/<slug:name>/remove": MANAGER_PAGE,
    "<slug:org>/settings/agents/of/<slug:slug>/servers/<slug:name>/again": MEMBER_PAGE,
    "<slug:org>/settings/members": MEMBER_PAGE,
    "<slug:org>/settings/members/invitations": MANAGER_PAGE,
    "<slug:org>/settings/members/invitations/<uuid:invitation_id>/revoke": MANAGER_PAGE,
    "<slug:org>/settings/members/<int:member_id>/role": MANAGER_PAGE,
    "<slug:org>/settings/members/<int:member_id>/remove": MANAGER_PAGE,
    "<slug:org>/settings/members/<int:member_id>/owner": MANAGER_PAGE,
    "<slug:org>/settings/members/leave": MEMBER_PAGE,
    "": PAGE,
    "<slug:org>/": MEMBER_PAGE,
    "<slug:org>/live": MEMBER_PAGE,
    "<slug:org>/older": MEMBER_PAGE,
    "<slug:org>/popover": MEMBER_PAGE,
    "<slug:org>/choose": MEMBER_PAGE,
    "<slug:org>/threads/<uuid:thread_id>": OWN_PAGE,
    "<slug:org>/settings/deleted": MEMBER_PAGE,
    "<slug:org>/settings/deleted/<uuid:thread_id>/restore": OWN_PAGE,
}
OTHERS = {
    "admin/login/": (SIGN_IN, FORBIDDEN, FORBIDDEN, FORBIDDEN, SIGN_IN),
    "admin/logout/": ANYBODY,
    "healthz": ANYBODY,
    "join": (FORBIDDEN,) * 5,  # without an invitation
    # Without a ticket it leads those to the chat who are in.
    "enter": (FORBIDDEN, IN, IN, IN, FORBIDDEN),
    "api/schema/": (IN, IN, IN, IN, FORBIDDEN),
}
# What a request says, where nothing is decided about who asks before that is read.
BODIES = {
    "api/<slug:org>/ai-keys/<uuid:key_id>": {"label": "mine"},
    "api/<slug:org>/default-models/<str:tier>": {"keyId": "key_id", "modelId": "m"},
    "api/<slug:org>/tools/VM_START": {"virtualMcpId": "vm_id"},
    "api/<slug:org>/tools/VM_DELETE": {
        "virtualMcpId": "vm_id",
        "branch": "main",
        "sandboxProviderKind": "remote-user",
    },
    "api/<slug:org>/tools/ensure_vm": {
        "virtualMcpId": "vm_id",
        "branch": "main",
        "sandboxProviderKind": "remote-user",
    },
}
QUERIES = {
    "api/<slug:org>/vm-events": "?virtualMcpId={vm_id}&branch=main",
    "api/<slug:org>/decopilot/threads/<uuid:thread_id>/messages/<uuid:message_id>/part": (
        "?toolCallId=t"
    ),
}
# Known by what stands in them, which a row of this table can't make up: a key that was sent by
# e-mail, and names with a hash in them.
BY_CONTENT = {
    "accounts/^confirm-email/(?P<key>[-:\\w]+)/$",
    "accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
    "dist/<str:name>",
    "panel.<str:digest>.css",
    "style.<str:digest>.css",
}
TABLE = {
    **ACCOUNTS,
    **MACHINES,
    **{f"api/<slug:org>/{path}": row for path, row in API.items()},
    **PAGES,
    **OTHERS,
}


def routes(resolver=None, prefix=""):
    """Yield the whole route of every address of the URL map."""
    for each in (resolver or get_resolver()).url_patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLPattern):
            yield route
        else:
            yield from routes(each, route)


# What makes something run, beside what only owners and admins may do.
STARTS = {
    *(f"api/<slug:org>/tools/{name}" for name in ("VM_START", "VM_DELETE", "ensure_vm")),
    "api/<slug:org>/decopilot/files",
    "api/<slug:org>/vm-events",
    "api/<slug:org>/vm/<str:vm_id>/<path:branch>/events",
    "api/<slug:org>/vm/<str:vm_id>/<path:rest>",
    "<slug:org>/settings/agents/of/<slug:slug>/servers/<slug:name>/again",
}
OF_OWNERS = {"<slug:org>/settings/members/<int:member_id>/owner"}
# What a viewer may change: only what is their own, and nothing runs by it.
OPEN_TO_VIEWERS = {
    "api/<slug:org>/tools/LINK_CURRENT_GET",
    *(
        f"api/<slug:org>/decopilot/{path}"
        for path in (
            "threads/<uuid:thread_id>",
            "threads/<uuid:thread_id>/restore",
            "threads/<uuid:thread_id>/seen",
            "threads/<uuid:thread_id>/background/<str:task_id>",
            "cancel/<uuid:thread_id>",
        )
    ),
}


def wanted(route, role):
    row = STAFF if is_of_the_admin(route) else TABLE[route]
    if role == "ann" and route in OF_OWNERS:
        return FORBIDDEN
    if role == "ann":  # an admin is an owner whose own things are others
        return wanted(route, "ada" if wanted(route, "bob") == FORBIDDEN else "bob")
    if role == "vic":
        return FORBIDDEN if route in STARTS else wanted(route, "bob")
    return row[ROLES.index(role)]


def is_of_the_admin(route):
    return route.startswith("admin/") and route not in TABLE


def test_every_address_has_a_row_and_every_row_an_address():
    known = {route for route in routes() if not is_of_the_admin(route)}

    assert known - set(TABLE) == BY_CONTENT
    assert set(TABLE) <= known


@pytest.fixture
def names(ada, org, agent, thread, link, say, key):
    """What stands for each variable of a route: things of Ada's, all of which exist."""
    from mesh.invitations import make_invitation, read_invitation
    from mesh.models import IssuedToken, Membership, Role
    from mesh.services import make_token
    from threads.models import Approval, ApprovalRule, Attachment, Message

    make_token(user=ada)
    invitation = read_invitation(
        make_invitation(organization=org, role=Role.MEMBER, made_by=ada, max_uses=None)
    )
    run = say(may_wait=True)
    Approval.objects.create(
        run=run, approval_id="a1", tool_call_id="c", tool="ExitPlanMode", input={}, level="auto"
    )
    rule = ApprovalRule.objects.create(thread=thread, tool="Bash", scope="tool")
    file = Attachment.objects.create(
        owner=ada, organization=org, name="a.txt", media_type="text/plain", size=1, data=b"a"
    )
    answer = Message.objects.create(
        thread=thread, role="assistant", client_id="a", seq=10**6, parts=[{"toolCallId": "t"}]
    )
    return {
        "org": org.slug,
        "member_id": Membership.objects.get(user=ada).pk,
        "invitation_id": invitation.pk,
        "message_id": answer.pk,
        "name": agent.slug,
        "slug": agent.slug,
        "server": "docs",
        "thread_id": thread.pk,
        "link_id": link.pk,
        "token_id": IssuedToken.objects.get(token__user=ada, machine_id="").pk,
        "run_id": run.pk,
        "approval_id": "a1",
        "rule_id": rule.pk,
        "file_id": file.pk,
        "key_id": key.pk,
        "tier": "smart",
        "step": "install",
        "vm_id": agent.pk,
        "branch": "main",
        "rest": "main/config",
    }


@pytest.fixture
def client_as(ada, bob, eve, org, link):
    """Return ``client_as(role)``: a client signed in as that person, or machine, or nobody."""
    from mesh.models import Membership, User
    from mesh.services import make_token

    people = {"ada": ada, "bob": bob, "eve": eve}
    for name, role in (("ann", "admin"), ("vic", "viewer")):
        people[name] = User.objects.create_user(name, password="correct horse battery")
        Membership.objects.create(user=people[name], organization_id=org.pk, role=role)
    token = make_token(user=ada, scope="machine", machine_id=link.machine_id)

    def make(role):
        headers = {"Authorization": f"Bearer {token}"} if role == "machine" else None
        client = Client(raise_request_exception=False, headers=headers)
        if role in people:
            client.force_login(people[role])
        return client

    return make


def address(route, names):
    """Return the route with ``names`` in it; of the admin's, which nobody may see, any will do."""
    plain = re.sub(r"\^|\$$|\(\?P<url>.*\)", "", route)
    path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(names.get(found.group(1), "1")), plain)
    return "/" + path + QUERIES.get(route, "").format(**names)


def body(route, names):
    said = {name: str(names.get(word, word)) for name, word in BODIES.get(route, {}).items()}
    return json.dumps(said).encode() if said else b""


def verdict(method, answer):
    """Return how somebody was met; ``None``: the method says nothing about it."""
    status, to = answer.status_code, answer.headers.get("Location", "")
    # What is gone may be removed again; that nothing went is looked at.
    if status == 405 or (method == "DELETE" and status == 204):
        return None
    if status == 302 and to.startswith(("/accounts/login/", "/admin/login/")):
        return SIGN_IN
    if status == 400 and b'"missing_header"' in answer.content:
        return SIGN_IN  # a machine's proof is asked for
    return {401: SIGN_IN, 403: FORBIDDEN, 404: UNKNOWN}.get(status, IN)


def met(client_as, role, route, names, methods):
    """Return how each method was met, but for those that say nothing."""
    path, said = address(route, names), body(route, names)
    answers = [
        (method, client_as(role).generic(method, path, said, "application/json"))
        for method in methods
    ]
    return {verdict(*each) for each in answers} - {None}


def of_ada():
    """Return everything of Ada's that a request could change."""
    from agents.models import Agent, DefaultModel, ProviderKey
    from links.models import Link
    from mesh.models import Invitation, IssuedToken, Membership
    from threads.models import Approval, ApprovalRule, Attachment, Run, Thread

    kinds = [Agent, Approval, ApprovalRule, Attachment, DefaultModel, Link, ProviderKey, Run]
    kinds += [Invitation, Membership]
    rows = [list(kind.objects.order_by("pk").values()) for kind in [*kinds, Thread]]
    # That a token was used is noted, also where it is refused.
    return [*rows, list(IssuedToken.objects.order_by("pk").values("pk", "machine_id"))]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("role", EVERYBODY)
def test_who_is_let_in(role, client_as, names):
    wrong = []
    for route in sorted(set(routes()) - BY_CONTENT):
        want = wanted(route, role)
        if want == IN:
            # Whoever is let in may still have said too little. An address is Ada's to change
            # in the tests of its own; here nothing of hers is removed.
            got = met(client_as, role, route, names, ("GET", "POST"))
            is_right = IN in got or not got
        else:
            before = of_ada()
            # The admin has sixty of them, behind one check.
            methods = ("GET", "POST") if is_of_the_admin(route) else METHODS
            got = met(client_as, role, route, names, methods)
            # A viewer who may change nothing learns nothing of what there is.
            refused = {want, FORBIDDEN} if role == "vic" else {want}
            is_right = got <= refused and of_ada() == before
        if not is_right:
            wrong.append(f"{route}: {got}, not {want}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.django_db(transaction=True)
def test_a_viewer_changes_nothing_through_the_api(client_as, names):
    below = {route for route in routes() if route.startswith("api/<slug:org>/")}
    assert below >= OPEN_TO_VIEWERS
    wrong, before = [], of_ada()
    for route in sorted(below - BY_CONTENT):
        want = {IN, UNKNOWN} if route in OPEN_TO_VIEWERS else {FORBIDDEN, SIGN_IN, UNKNOWN}
        got = met(client_as, "vic", route, names, ("POST", "PUT", "PATCH", "DELETE"))
        if not got <= want:
            wrong.append(f"{route}: {got}, not {want}")

    assert not wrong, "\n".join(wrong)
    assert of_ada() == before
