"""The API of keys: for members to read, for owners and admins to write, and never a key in it."""

from __future__ import annotations

import logging
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from agents.keys import selectors
from agents.models import ProviderKey
from links.models import Link
from mesh import keys
from mesh.models import Membership
from tests.agents.keys.conftest import SECRET

BASE = "/api/home"


@pytest.fixture
def call(client):
    """Return ``call(user, method, path, **body)``: what that user's request is answered."""

    def send(user, method, path, **body):
        if user is not None:
            client.force_login(user)
        return getattr(client, method)(f"{BASE}/{path}", body, "application/json")

    return send


def added(call, ada, **fields):
    answer = call(ada, "post", "ai-keys", provider="anthropic", key=SECRET, **fields)
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_a_key_s_whole_life_without_the_key_in_any_answer_or_log(
    call, client, ada, provider, caplog
):
    caplog.set_level(logging.DEBUG)
    provider.status = 401
    provider.body = {"error": {"message": f"bad key {SECRET}"}}
    answers = [call(ada, "post", "ai-keys", provider="anthropic", key=SECRET, baseUrl=provider.url)]
    path = f"ai-keys/{answers[0].json()['id']}"
    answers.append(call(ada, "post", f"{path}/test"))
    answers.append(call(ada, "patch", path, label="Team"))
    answers += [call(ada, "get", each) for each in ("ai-keys", "ai-providers", "default-models")]
    answers.append(call(ada, "delete", path))
    page = client.get("/home/settings/ai-providers")
    assert page.status_code == 200

    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 200, 204]
    assert answers[1].json()["said"] == "bad key …"
    written = b"".join(answer.content for answer in [*answers, page]).decode() + caplog.text
    assert SECRET not in written
    assert provider.asked  # it did go out, in one header


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"key": "x" * 501}, "key_too_long", id="key too long"),
        pytest.param({"key": "sk-ant-a\nX: y"}, "key_malformed", id="newline"),
        pytest.param({"key": "sk-or-x"}, "key_of_another_provider", id="wrong provider"),
        pytest.param(
            {"provider": "openai-compatible", "baseUrl": "http://169.254.169.254/v1"},
            "address_refused",
            id="metadata",
        ),
        pytest.param({"provider": "nobody"}, "unknown_provider", id="unknown provider"),
        pytest.param({"provider": 5}, "unknown_provider", id="a number"),
        pytest.param({"key": {"a": SECRET}}, "invalid_input", id="an object"),
    ],
)
def test_bad_input_is_refused_with_a_code_and_a_sentence(call, ada, fields, code):
    given = {"provider": "anthropic", "key": SECRET, **fields}
    answer = call(ada, "post", "ai-keys", **given)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert answer.json()["error"]["message"].endswith(".")
    assert SECRET not in answer.content.decode()
    assert not ProviderKey.objects.exists()


def test_a_member_reads_and_may_not_write(call, ada, bob):
    key = added(call, ada)
    assert call(bob, "get", "ai-keys").json()["keys"][0]["label"] == "Personal key"

    for method, path, body in (
        ("post", "ai-keys", {"provider": "anthropic", "key": SECRET}),
        ("patch", f"ai-keys/{key['id']}", {"label": "x"}),
        ("delete", f"ai-keys/{key['id']}", {}),
        ("post", f"ai-keys/{key['id']}/test", {}),
        ("put", "default-models/fast", {"keyId": key["id"], "modelId": "m"}),
    ):
        assert call(bob, method, path, **body).status_code == 403


def test_an_admin_may(call, ada, bob):
    Membership.objects.filter(user=bob).update(role="admin")

    assert call(bob, "post", "ai-keys", provider="anthropic", key=SECRET).status_code == 201


@pytest.mark.parametrize("who", ["eve", None])
def test_a_stranger_learns_nothing(call, ada, eve, who, client):
    key = added(call, ada)
    client.logout()
    status = 404 if who else 401

    for method, path in (
        ("get", "ai-keys"),
        ("get", "ai-providers"),
        ("post", f"ai-keys/{key['id']}/test"),
        ("delete", f"ai-keys/{key['id']}"),
    ):
        assert call(eve if who else None, method, path).status_code == status


def test_a_default_model_is_chosen(call, ada, org):
    key = added(call, ada)
    answer = call(ada, "put", "default-models/fast", keyId=key["id"], modelId="claude-x")

    assert answer.json() == {"tier": "fast", "keyId": key["id"], "modelId": "claude-x"}
    assert selectors.choose_model(organization_id=org.pk, tier="fast").model_id == "claude-x"


@pytest.mark.parametrize(
    ("tier", "model", "code"),
    [("huge", "m", "unknown_tier"), ("fast", "a\nb", "model_malformed")],
)
def test_a_choice_that_is_none_is_refused(call, ada, tier, model, code):
    key = added(call, ada)
    answer = call(ada, "put", f"default-models/{tier}", keyId=key["id"], modelId=model)

    assert answer.json()["error"]["code"] == code


def test_the_schema_names_every_address(client, ada):
    client.force_login(ada)
    schema = client.get("/api/schema/?format=json").json()

    assert {"post", "get"} <= set(schema["paths"]["/api/{org}/ai-keys"])
    assert "writeOnly" in schema["components"]["schemas"]["NewAiKey"]["properties"]["key"]


def test_secrets_are_encrypted_again_and_the_old_key_can_go(call, ada, settings):
    added(call, ada)
    sealed = keys.seal("link")
    Link.objects.create(
        user=ada, machine_id="m", cli_version="1", protocol_version=1, secret=sealed
    )
    new = keys.make_fernet()
    settings.MESH_ENCRYPTION_KEYS = [new, *settings.MESH_ENCRYPTION_KEYS]
    call_command("mesh_rotate_keys", stdout=(said := StringIO()))
    settings.MESH_ENCRYPTION_KEYS = [new]

    assert selectors.account_of(ProviderKey.objects.get()).secret == SECRET
    assert keys.unseal(Link.objects.get().secret) == "link"
    assert said.getvalue().startswith("2 secrets")


def test_a_secret_that_no_key_opens_is_named_and_left_alone(call, ada, settings):
    key = added(call, ada)
    sealed = ProviderKey.objects.get().sealed_key
    settings.MESH_ENCRYPTION_KEYS = [keys.make_fernet()]

    with pytest.raises(CommandError, match=key["id"]):
        call_command("mesh_rotate_keys", stdout=StringIO())
    assert ProviderKey.objects.get().sealed_key == sealed
