"""A machine's token does the work of that machine, and opens nothing else."""

from uuid import uuid4

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from links import selectors, services
from links.models import Link
from links.wire.messages import Registration
from mesh.models import IssuedToken
from mesh.services import make_token
from mesh.tokens import find_sign_in
from tests.mesh.pairing.conftest import Browser, Machine

M1, M2 = ({"machineId": one, "cliVersion": "1", "protocolVersion": 1} for one in ("m1", "m2"))
M1 |= {"capabilities": ["codex"]}
M2 |= {"capabilities": ["codex"]}

# What a machine's token opens, by the name of the address.
OPEN = {"links": {"get", "post"}, "link-me": {"get"}, "link-stream": {"get"}}
# What proves itself in another way, and does not look at a bearer token of ours.
PROVEN_OTHERWISE = {"link-heartbeat": {"post"}, "link-me": {"delete"}, "mcp": {"post", "delete"}}
METHODS = ("get", "post", "put", "patch", "delete")
PLACES = {"org": "home", "vm_id": "default", "branch": "main", "rest": "main/files", "tier": "fast"}


def client_of(token):
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture
def token(ada):
    return make_token(user=ada, scope="machine", name="build-7")


@pytest.fixture
def laptop(token):
    """A machine that has registered as m1."""
    client = client_of(token)
    assert client.post("/api/links", M1).status_code == 200
    return client


@pytest.fixture
def person(ada):
    return client_of(make_token(user=ada))


def routes(patterns=None, prefix="/", name=""):
    """Yield every address below /api/, filled in, with its name."""
    for one in patterns or get_resolver().url_patterns:
        path = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, path)
        elif isinstance(one, URLPattern) and path.startswith("/api/"):
            yield one.name or path, filled(path, one)


def filled(path, pattern):
    for part in path.split("<")[1:]:
        kind, _, name = part.partition(">")[0].rpartition(":")
        value = str(uuid4()) if kind == "uuid" else PLACES.get(name, "x")
        path = path.replace(f"<{part.partition('>')[0]}>", value)
    return path


def test_the_map_is_whole():
    names = {name for name, _ in routes()}

    assert {"links", "threads", "agents_api", "vm", "schema", "stream", "tokens"} <= names


@pytest.mark.django_db(transaction=True)  # some views ask in threads of their own
def test_a_machine_s_token_opens_nothing_that_is_not_declared(laptop, org, agent):
    opened = []
    for name, path in routes():
        for method in METHODS:
            if method in OPEN.get(name, set()) | PROVEN_OTHERWISE.get(name, set()):
                continue
            answer = getattr(laptop, method)(path, {}, format="json")
            if answer.status_code not in (403, 405):
                opened.append((method, path, answer.status_code))

    assert not opened, "\n".join(map(str, opened))


@pytest.mark.parametrize("slug", ["links", "schema"])
def test_no_organization_s_name_opens_its_api_to_machines(laptop, ada, slug):
    """An organization of before, when these names were not reserved yet."""
    from mesh.models import Membership, Organization

    named = Organization.objects.create(slug=slug, name="Named like an address")
    Membership.objects.create(organization=named, user=ada, role="owner")

    assert code(laptop.get(f"/api/{slug}/agents")) == (403, "forbidden")


def test_a_machine_registers_itself_and_no_other(laptop, ada):
    assert laptop.post("/api/links", M1).status_code == 200

    assert code(laptop.post("/api/links", M2)) == (403, "wrong_machine")
    assert [link.machine_id for link in Link.objects.all()] == ["m1"]


def test_a_machine_does_not_take_another_one_over(ada, person, token):
    person.post("/api/links", M2)
    secret = Link.objects.get().secret_hash
    laptop = client_of(token)
    laptop.post("/api/links", M1)

    assert code(laptop.post("/api/links", M2)) == (403, "wrong_machine")
    assert Link.objects.get(machine_id="m2").secret_hash == secret


def test_a_machine_calls_no_other_one_outdated(laptop, person):
    person.post("/api/links", M2)

    assert laptop.post("/api/links", {**M2, "protocolVersion": 0}).status_code == 403
    assert Link.objects.get(machine_id="m2").cause == ""


def test_a_machine_that_was_bound_when_its_token_was_made(ada):
    bound = client_of(make_token(user=ada, scope="machine", machine_id="m1"))

    assert code(bound.post("/api/links", M2)) == (403, "wrong_machine")
    assert bound.post("/api/links", M1).status_code == 200


def test_a_machine_learns_only_about_itself(laptop, person, ada):
    person.post("/api/links", M2)
    other = Link.objects.get(machine_id="m2")
    services.claim(
        user=ada, machine_id="m2", secret_fingerprint=other.secret_hash, connection_id="c2"
    )

    assert [one["machineId"] for one in laptop.get("/api/links").json()["links"]] == ["m1"]
    assert laptop.get("/api/links/me").json() == {"status": "offline"}
    assert person.get("/api/links/me").json()["machineId"] == "m2"


def test_a_paired_machine_is_held_to_its_own_id(ada):
    value = Machine().paired(Browser(ada), machine_id="m1").tokens["access_token"]
    paired = client_of(value)

    assert paired.post("/api/links", M1).status_code == 200
    assert code(paired.post("/api/links", M2)) == (403, "wrong_machine")


def test_a_machine_that_told_no_id_is_bound_by_its_first_registration(ada):
    value = Machine().paired(Browser(ada), machine_id="not/an/id").tokens["access_token"]
    paired = client_of(value)

    assert paired.post("/api/links", M2).status_code == 200
    assert code(paired.post("/api/links", M1)) == (403, "wrong_machine")


# Signing out, and revoking


def test_signing_a_machine_out_ends_its_token(laptop, person, token):
    person.delete(f"/api/links/{Link.objects.get().pk}")

    assert find_sign_in(token) is None
    assert code(laptop.get("/api/links/me")) == (401, "unauthorized")


def test_signing_a_machine_out_ends_what_it_paired(ada, person):
    machine = Machine().paired(Browser(ada), machine_id="m1")
    client_of(machine.tokens["access_token"]).post("/api/links", M1)
    person.delete(f"/api/links/{Link.objects.get().pk}")

    assert find_sign_in(machine.tokens["access_token"]) is None
    assert machine.renew().json()["error"] == "invalid_grant"


def test_signing_a_machine_out_leaves_the_others(laptop, ada, person):
    kept = make_token(user=ada, scope="machine")
    client_of(kept).post("/api/links", M2)
    person.delete(f"/api/links/{Link.objects.get(machine_id='m1').pk}")

    assert find_sign_in(kept)


def test_revoking_a_token_signs_its_machine_out(laptop, person, token):
    person.delete(f"/api/tokens/{IssuedToken.objects.get(name='build-7').pk}")

    assert find_sign_in(token) is None
    (link,) = selectors.list_links(viewer=Link.objects.get().user)
    assert link.cause == "signed_out"


def test_revoking_a_pairing_signs_its_machine_out(ada, person):
    machine = Machine().paired(Browser(ada), machine_id="m1")
    client_of(machine.tokens["access_token"]).post("/api/links", M1)
    (paired,) = (t for t in person.get("/api/tokens").json()["tokens"] if t["machineId"])

    assert person.delete(f"/api/tokens/{paired['id']}").status_code == 204
    assert find_sign_in(machine.tokens["access_token"]) is None
    assert Link.objects.get().cause == "signed_out"


def test_a_person_lists_their_tokens(laptop, person):
    shown = person.get("/api/tokens").json()["tokens"]

    assert {(one["name"], one["scope"]) for one in shown} == {
        ("build-7", "machine"),
        ("token", "user"),
    }
    assert all(one["lastUsedAt"] and one["expiresAt"] and one["createdAt"] for one in shown)


def test_nobody_revokes_another_s_token(eve, laptop, token):
    strange = client_of(make_token(user=eve))
    issued = IssuedToken.objects.get(name="build-7")

    assert code(strange.delete(f"/api/tokens/{issued.pk}")) == (404, "no_token")
    assert code(strange.delete(f"/api/tokens/{uuid4()}")) == (404, "no_token")
    assert find_sign_in(token)


def test_a_machine_revokes_nothing(laptop, token):
    issued = IssuedToken.objects.get()

    assert code(laptop.delete(f"/api/tokens/{issued.pk}")) == (403, "forbidden")
    assert find_sign_in(token)


def test_a_registration_names_the_token_that_lies_on_the_machine(ada):
    first, second = (find_sign_in(make_token(user=ada, name=name)) for name in ("one", "two"))
    for sign_in in (first, second):
        services.register(user=ada, registration=Registration.parse(M1), sign_in=sign_in)

    assert Link.objects.get().registered_with.name == "two"
