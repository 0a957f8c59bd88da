"""A machine that asks, and browsers of people who answer; the real addresses, no shortcuts."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from mesh.lib import oauth

FACTS = {
    "hostname": "ada's laptop",
    "platform": "Linux x86_64",
    "machine_id": "a" * 32,
    "version": "0.1.0",
}


class Machine:
    """Speaks OAuth as the laptop's program does."""

    def __init__(self, address="203.0.113.7"):
        self.http = Client(enforce_csrf_checks=True, REMOTE_ADDR=address)
        self.codes = self.tokens = None

    def post(self, path, **form):
        form.setdefault("client_id", oauth.CLIENT_ID)
        query = "&".join(f"{name}={value}" for name, value in form.items())
        return self.http.post(f"/{path}", query, content_type="application/x-www-form-urlencoded")

    def ask(self, **facts):
        answer = self.post(oauth.DEVICE_CODE, scope=oauth.SCOPE, **(FACTS | facts))
        assert answer.status_code == 200, answer.content
        self.codes = answer.json()
        return self

    def poll(self, **form):
        form.setdefault("device_code", self.codes["device_code"])
        return self.post(oauth.TOKEN, grant_type=oauth.DEVICE_GRANT, **form)

    def renew(self, refresh_token=None):
        value = refresh_token or self.tokens["refresh_token"]
        return self.post(oauth.TOKEN, grant_type=oauth.REFRESH_GRANT, refresh_token=value)

    def revoke(self, token, **form):
        return self.post(oauth.REVOKE, token=token, **form)

    def paired(self, adas, **facts):
        """Ask, let the person of ``adas`` approve, and collect the tokens."""
        self.ask(**facts)
        adas.answer(self.codes["user_code"], "approve")
        answer = self.poll()
        assert answer.status_code == 200, answer.content
        self.tokens = answer.json()
        return self


class Browser(Client):
    """A person's browser: keeps the CSRF token of the last page, and must send it."""

    def __init__(self, user, address="198.51.100.1"):
        super().__init__(enforce_csrf_checks=True, REMOTE_ADDR=address)
        self.page = reverse("idp:oidc:device_authorization")
        if user:
            self.force_login(user)

    def look(self, code=""):
        return self.get(self.page, {"code": code} if code else {})

    def answer(self, code, action=""):
        shown = self.look().content.decode()
        csrf = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', shown)[1]
        form = {"csrfmiddlewaretoken": csrf, "code": code}
        return self.post(self.page, form | ({"action": action} if action else {}))


@pytest.fixture
def machine(db):
    return Machine()


@pytest.fixture
def adas(ada):
    return Browser(ada)


@pytest.fixture
def later(monkeypatch):
    """Return ``later(seconds)``: from then on it is so much later."""
    from django.utils import timezone

    real = timezone.now
    ahead = []

    def add(seconds):
        from datetime import timedelta

        ahead.append(timedelta(seconds=seconds))
        monkeypatch.setattr(timezone, "now", lambda: real() + sum(ahead, timedelta()))

    return add
