"""S1–S9, D-table of heartbeat and shutdown, S104–S109 as far as this API has them."""

import json

import pytest
from django.db import OperationalError
from rest_framework.test import APIClient

from links import services
from links.models import Link
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
def proof(api):
    """The headers with which ada's registered machine proves itself."""
    told = api.post("/api/links", M1).json()
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
    assert (me["currentProtocolVersion"], me["reportedProtocolVersion"]) == (1, 1)

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
