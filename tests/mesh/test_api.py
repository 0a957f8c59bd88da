"""Every error of the API has the one form, whatever raised it."""

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from django.urls import reverse
from rest_framework import exceptions, serializers
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from mesh.lib.errors import AppError


class Teapot(AppError):
    code = "teapot"
    text = "This is a teapot."
    hint = "Ask for tea."
    status = 418


class Input(serializers.Serializer):
    name = serializers.CharField()


class View(APIView):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request):
        if raised := ERRORS.get(str(request.data.get("raise"))):
            raise raised
        Input(data=request.data).is_valid(raise_exception=True)


ERRORS = {
    "teapot": Teapot(activeCapabilities=["claude-code"]),
    "forbidden": exceptions.PermissionDenied(),
    "signed out": exceptions.NotAuthenticated(),
    "often": exceptions.Throttled(),
    "other": exceptions.APIException(),
}


def post(body=b"{}", **more):
    more.setdefault("content_type", "application/json")
    request = APIRequestFactory().generic("POST", "/api/x", body, **more)
    return View.as_view()(request)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(b'{"raise": "teapot"}', 418, "teapot", id="our own"),
        pytest.param(b'{"raise": "forbidden"}', 403, "forbidden", id="forbidden"),
        pytest.param(b'{"raise": "signed out"}', 403, "unauthorized", id="signed out"),
        pytest.param(b'{"raise": "often"}', 429, "too_many_requests", id="too often"),
        pytest.param(b'{"raise": "other"}', 500, "refused", id="another of the framework's"),
        pytest.param(b"{}", 400, "invalid_input", id="a field is missing"),
        pytest.param(b"{", 400, "invalid_json", id="no JSON"),
        pytest.param(b"[1]", 400, "invalid_json", id="no object"),
        pytest.param(b'{"a": NaN}', 400, "invalid_json", id="NaN is no JSON"),
        pytest.param(b'{"a": -1e999}', 400, "invalid_json", id="a number without end"),
        pytest.param(b"[" * 100_000, 400, "invalid_json", id="deeply nested"),
        pytest.param(b"\xff", 400, "invalid_json", id="no UTF-8"),
        pytest.param(b'"' + b"x" * 10_485_761 + b'"', 413, "body_too_large", id="over 10 MB"),
    ],
)
def test_refuses(body, status, code):
    answer = post(body)

    assert (answer.status_code, answer.data["error"]["code"]) == (status, code)
    assert all(answer.data["error"][part] for part in ("code", "message", "hint"))


def test_other_content_is_no_json():
    assert post(b"a=1", content_type="text/plain").data["error"]["code"] == "invalid_json"


def test_an_error_may_carry_more():
    error = post(b'{"raise": "teapot"}').data["error"]

    assert error["activeCapabilities"] == ["claude-code"]


def test_a_missing_field_is_named():
    assert post(b"{}").data["error"]["message"].startswith("name: ")


def test_an_unknown_address_answers_programs_in_json(client, db):
    answer = client.get("/api/nowhere")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_browsers_post_needs_the_token_of_its_page(ada):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ada)

    answer = browser.post("/api/home/decopilot/threads", {}, content_type="application/json")

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "stale_page")
    assert "Reload" in answer.json()["error"]["hint"]


def test_a_forged_post_to_a_page_gets_a_page(client, db):
    browser = Client(enforce_csrf_checks=True)

    answer = browser.post("/accounts/login/", {})

    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (403, "text/html")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        pytest.param("/api/home/decopilot/threads", "application/json", id="a program"),
        pytest.param("/healthz", "text/html; charset=utf-8", id="a person"),
    ],
)
def test_a_request_for_another_host_is_refused_in_the_askers_form(client, path, kind):
    answer = client.get(path, headers={"host": "evil.example"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, kind)
    if kind == "application/json":
        assert answer.json()["error"]["code"] == "bad_request"


def test_healthz(client, db, settings):
    answer = client.get(reverse("healthz"))

    assert answer.json() == {"status": "ok", "version": settings.MESH_VERSION, "database": "ok"}


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_healthz_tells_when_the_database_is_gone(db, monkeypatch, error):
    def refuse(*args):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", refuse)
        answer = Client().get(reverse("healthz"))

    assert (answer.status_code, answer.json()["database"]) == (503, "unreachable")


@pytest.mark.parametrize(
    "path", ["/accounts/2fa/totp/activate/", "/accounts/email/", "/api/tokens", "/api/links"]
)
def test_nothing_of_a_person_is_kept_by_the_browser(client, ada, path):
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")

    assert "no-store" in client.get(path).headers["Cache-Control"]


def test_every_page_carries_a_policy_without_inline_code(client, db):
    policy = client.get(reverse("healthz")).headers["Content-Security-Policy"]

    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
