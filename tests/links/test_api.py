"""S1–S9, D-table of heartbeat and shutdown, S104–S109 as far as this API has them."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.utils import timezone
from rest_framework.test import APIClient

from links import services
from links.models import Link
from links.wire import version
from mesh.services import make_token

M1 = {
    "machineId": "m1",
    "cliVersion": "1.0.0",
    "protocolVersion": 1,
    "capabilities": ["claude-code", "decopilot-sandbox"],
    "tunnelUrl": "http://localhost:5174",
}


@pytest.fixture
def api(ada):
    """Ada's client, with a bearer token as the program has."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(user=ada)}")
    return client


@pytest.fixture
def laptop(ada):
    """The client of a machine of ada's, with a token for itself alone."""
    client = APIClient()
    token = make_token(user=ada, scope="machine")
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


@pytest.fixture
def proof(laptop):
    """The headers with which ada's registered machine proves itself."""
    told = laptop.post("/api/links", M1).json()
    return {"X-Mesh-User-Sub": told["userSub"], "X-Link-Secret": told["linkSecret"]}


def claim(user):
    link = Link.objects.get(user=user)
    services.claim(
        user=user, machine_id="m1", secret_fingerprint=link.secret_hash, connection_id="c1"
    )


def anyone():
    return APIClient()


def code(answer):
    error = answer.json()["error"]
    assert all(error[part] for part in ("code", "message", "hint"))
    return answer.status_code, error["code"]


def test_a_machine_registers(api):  # S2
    answer = api.post("/api/links", M1)

    assert answer.status_code == 200
    assert len(answer.json()["linkSecret"]) == 43


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        pytest.param({"machineId": ""}, 400, "invalid_input", id="no machine"),
        pytest.param({"capabilities": {}}, 400, "invalid_input", id="capabilities no list"),
        pytest.param({"protocolVersion": 0}, 426, "upgrade_required", id="S3 too old"),
        pytest.param(
            {"protocolVersion": 0, "cliVersion": ""}, 400, "invalid_input", id="400 first"
        ),
    ],
)
def test_registering_is_refused(api, body, status, expected):
    assert code(api.post("/api/links", {**M1, **body})) == (status, expected)
    assert not Link.objects.exists()


@pytest.mark.parametrize("body", ["{", "[]", '"x"', "NaN", "[" * 100_000])
def test_what_is_no_json_object_is_refused(api, body):
    answer = api.post("/api/links", body, content_type="application/json")

    assert code(answer) == (400, "invalid_json")


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("path", ["/api/links", "/api/links/me"])
def test_nobody_is_turned_away(db, method, path):  # S1
    if (method, path) == ("post", "/api/links/me"):
        return
    assert code(getattr(anyone(), method)(path)) == (401, "unauthorized")


def test_a_wrong_token_is_refused(db):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer mesh_wrong")

    assert code(client.post("/api/links", M1)) == (401, "unauthorized")


def test_a_heartbeat(api, proof):  # S6
    assert anyone().post("/api/links/heartbeat", headers=proof).status_code == 204
    assert api.get("/api/links/me").json()["status"] == "online"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({"X-Mesh-User-Sub": ""}, (400, "missing_header"), id="no person"),
        pytest.param({"X-Link-Secret": ""}, (401, "unauthorized"), id="no secret"),
        pytest.param({"X-Link-Secret": "not-the-real-secret"}, (401, "unauthorized"), id="S7"),
        pytest.param({"X-Mesh-User-Sub": "999999"}, (401, "unauthorized"), id="nobody"),
        pytest.param({"X-Mesh-User-Sub": "x"}, (401, "unauthorized"), id="no id"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("post", "heartbeat"), ("delete", "me")])
def test_a_bad_proof_looks_the_same_whatever_is_wrong(proof, headers, expected, method, path):
    answer = getattr(anyone(), method)(f"/api/links/{path}", headers={**proof, **headers})

    assert code(answer) == expected
    if expected[0] == 401:
        wrong = {**proof, "X-Link-Secret": "x"}
        assert answer.content == anyone().post("/api/links/heartbeat", headers=wrong).content


def test_without_a_machine_me_is_offline(api):  # S8, S105
    assert api.get("/api/links/me").json() == {"status": "offline"}


def test_from_registering_to_stopping(api, proof, ada):  # S9
    claim(ada)
    me = api.get("/api/links/me").json()
    assert me["status"] == "online"
    assert (me["machineId"], me["capabilities"]) == ("m1", M1["capabilities"])
    assert (me["currentProtocolVersion"], me["reportedProtocolVersion"]) == (version.CURRENT, 1)

    assert anyone().delete("/api/links/me", headers=proof).status_code == 204
    assert api.get("/api/links/me").json() == {"status": "offline"}


def test_no_answer_holds_a_secret(api, proof, ada):  # S108
    claim(ada)
    shown = json.dumps([api.get("/api/links").json(), api.get("/api/links/me").json()])

    assert proof["X-Link-Secret"] not in shown
    assert not any(word in shown for word in ("linkSecret", "secret", "tunnel", "localhost"))


def test_a_person_sees_their_own_machines(api, proof, eve):
    (link,) = api.get("/api/links").json()["links"]
    assert (link["machineId"], link["state"]) == ("m1", "unknown")

    strange = APIClient()
    strange.force_authenticate(eve)
    assert strange.get("/api/links").json() == {"links": []}


@pytest.mark.parametrize("where", ["register", "heartbeat", "stop"])
def test_a_store_that_is_down_is_a_503(api, proof, monkeypatch, where):
    def down(**_):
        raise OperationalError("connection refused at db.internal")

    monkeypatch.setattr(services, where, down)
    answer = {
        "register": lambda: api.post("/api/links", M1),
        "heartbeat": lambda: anyone().post("/api/links/heartbeat", headers=proof),
        "stop": lambda: anyone().delete("/api/links/me", headers=proof),
    }[where]()

    assert code(answer) == (503, "store_not_ready")
    assert "db.internal" not in answer.content.decode()


# One machine: revoking it, and asking whether it is there


@pytest.fixture
def link(proof):
    return Link.objects.get()


def test_a_revoked_machine_is_out(api, proof, link, ada):
    claim(ada)

    assert api.delete(f"/api/links/{link.pk}").status_code == 204

    (shown,) = api.get("/api/links").json()["links"]
    assert (shown["state"], shown["cause"]) == ("offline", "signed_out")
    assert anyone().post("/api/links/heartbeat", headers=proof).status_code == 401


def test_the_token_of_a_revoked_machine_is_dead(api, laptop, link):
    api.delete(f"/api/links/{link.pk}")

    assert code(laptop.post("/api/links", M1)) == (401, "unauthorized")


def test_a_token_made_before_does_not_bring_a_revoked_machine_back(api, link):
    api.delete(f"/api/links/{link.pk}")

    assert code(api.post("/api/links", M1)) == (401, "machine_revoked")


def test_a_person_s_token_that_lies_on_a_revoked_machine_is_dead_too(api, ada):
    api.post("/api/links", M1)
    services.revoke(link=Link.objects.get())

    assert code(api.get("/api/links")) == (401, "unauthorized")


def test_a_token_made_later_brings_it_back(api, link, ada):
    api.delete(f"/api/links/{link.pk}")

    again = APIClient()
    again.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(user=ada)}")
    told = again.post("/api/links", M1)

    assert told.json()["linkId"] == str(link.pk)
    (shown,) = again.get("/api/links").json()["links"]
    assert shown["cause"] == ""


def test_other_machines_of_the_person_stay(api, link, ada):
    api.post("/api/links", {**M1, "machineId": "m2"})
    api.delete(f"/api/links/{link.pk}")

    assert api.post("/api/links", {**M1, "machineId": "m2"}).status_code == 200


@pytest.mark.parametrize("path", ["", "/probe"])
def test_a_strangers_machine_does_not_exist(link, eve, path):
    strange = APIClient()
    strange.force_authenticate(eve)
    ask = strange.post if path else strange.delete

    assert code(ask(f"/api/links/{link.pk}{path}")) == (404, "no_link")
    assert code(ask(f"/api/links/{uuid4()}{path}")) == (404, "no_link")
    link.refresh_from_db()
    assert link.revoked_at is None


def test_a_probe_of_a_machine_that_is_not_connected(api, link):
    shown = api.post(f"/api/links/{link.pk}/probe").json()

    assert (shown["state"], shown["roundTripMs"]) == ("unknown", None)


# The tool of programs


def current(api, org="home"):
    return api.post(f"/api/{org}/tools/LINK_CURRENT_GET", {})


def test_the_tool_without_a_machine(api):  # S104, S105
    assert current(api).json() == {"online": False, "capabilities": []}


def test_the_tool_with_a_machine(api, proof, ada):  # S106
    claim(ada)

    assert current(api).json() == {
        "online": True,
        "machineId": "m1",
        "hostname": "m1",
        "cliVersion": "1.0.0",
        "capabilities": M1["capabilities"],
    }


def test_the_tool_after_the_deadline(api, proof, ada):  # S107
    claim(ada)
    Link.objects.update(offline_after=timezone.now() - timedelta(seconds=1))

    assert current(api).json() == {"online": False, "capabilities": []}


def test_the_tool_tells_no_secret(api, proof, ada):  # S108
    claim(ada)
    shown = current(api).content.decode()

    assert "secret" not in shown.lower()
    assert proof["X-Link-Secret"] not in shown


def test_the_tool_without_a_token(db, org):  # S109
    answer = current(anyone())

    assert code(answer) == (401, "unauthorized")
    assert answer.json()["error"]["message"] == "Authentication required"


def test_the_tool_of_another_organization(api, eve):
    assert code(current(api, "other")) == (404, "not_found")


# The order of checks: 401, no JSON, wrong fields, too old


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("{", 401, id="no session comes first"),
        pytest.param(json.dumps({**M1, "machineId": 1}), 401, id="before the fields"),
        pytest.param(json.dumps({**M1, "protocolVersion": 0}), 401, id="before the version"),
    ],
)
def test_nobody_learns_what_is_wrong_with_a_body(db, body, expected):
    answer = anyone().post("/api/links", body, content_type="application/json")

    assert answer.status_code == expected


@pytest.mark.parametrize(
    "field",
    [
        {"machineId": 1},
        {"machineId": "m" * 65},
        {"machineId": "a\x00b"},
        {"cliVersion": []},
        {"protocolVersion": "1"},
        {"protocolVersion": -1},
        {"protocolVersion": True},
        {"protocolVersion": 1e3},
        {"protocolVersion": 2**31},
        {"capabilities": []},
        {"capabilities": "codex"},
        {"hostname": {}},
        {"hostname": "h" * 256},
        {"tunnelUrl": 5},
        {"tunnelUrl": "http://localhost/" + "x" * 300},
    ],
    ids=str,
)
def test_wrong_fields(api, field, caplog):
    assert code(api.post("/api/links", {**M1, **field})) == (400, "invalid_input")
    assert not Link.objects.exists()
    assert api._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ") not in caplog.text


@pytest.mark.parametrize(
    "url", ["https://evil.example", "http://127.0.0.1.evil.example", "http://[", "javascript:1"]
)
def test_an_address_that_is_no_loopback_is_not_kept(api, settings, url):
    settings.MESH_ALLOW_LOCALHOST_LINKS = True

    assert api.post("/api/links", {**M1, "tunnelUrl": url}).status_code == 200
    assert Link.objects.get().tunnel_url == ""


def test_a_name_that_this_server_does_not_know_is_dropped(api):
    api.post("/api/links", {**M1, "capabilities": ["codex", "of-tomorrow", 5, None]})

    assert Link.objects.get().capabilities == ["codex"]


def test_an_outdated_program_is_shown_as_such(api, proof):
    api.post("/api/links", {**M1, "protocolVersion": 0})

    (shown,) = api.get("/api/links").json()["links"]
    assert (shown["state"], shown["cause"]) == ("offline", "too_old")


def test_an_outdated_program_changes_nothing_at_one_that_is_online(api, proof, ada):
    claim(ada)
    api.post("/api/links", {**M1, "protocolVersion": 0})

    (shown,) = api.get("/api/links").json()["links"]
    assert shown["state"] == "online"
