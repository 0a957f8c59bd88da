"""Odd requests to every address: refused or borne, never a failure of ours."""

import logging
import re
import uuid
from contextlib import contextmanager, nullcontext

import pytest
from asgiref.sync import iscoroutinefunction
from django.db import transaction
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import Resolver404, get_resolver, resolve, reverse

from agents.models import ProviderKey
from links.models import Link
from mesh.log_filters import OneLine
from tests.odd_requests import (
    BODIES,
    FORM,
    HEADERS,
    JSON,
    METHODS,
    ODD_SEGMENTS,
    addresses,
    filled,
    forms,
)
from tests.second_factor import set_up

pytestmark = pytest.mark.thorough

# One model's pages stand for all of the admin's.
ROUTES = sorted(
    route
    for route in set(addresses(get_resolver().url_patterns))
    if not re.match(r"/admin/(account|allauth|mfa|links|sandboxes/sandboxrunner)", route)
)
# Whoever is not signed in gets no further anywhere else.
OPEN = [route for route in ROUTES if not re.search("<slug:org>|^/admin/.+/", route)]
PASSWORD = "correct horse battery"


class Failures(logging.Handler):
    """Whatever is logged as a failure, or with a traceback."""

    def __init__(self):
        super().__init__()
        self.addFilter(OneLine())
        self.seen = []

    def emit(self, record):
        if record.exc_info or record.levelno >= logging.ERROR:
            self.seen.append(self.format(record))


@contextmanager
def undone():
    """Whatever the block writes is taken back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def is_stream(path):
    """Whether the view is asynchronous: those only read, and bear no open transaction."""
    try:
        return iscoroutinefunction(resolve(path.partition("?")[0]).func)
    except Resolver404:
        return False


class Rude:
    """A client that notes each request that made the server fail; each leaves nothing behind."""

    def __init__(self, client, values, routes):
        client.raise_request_exception = False
        self.client, self.values, self.routes = client, values, routes
        self.cookies = client.cookies.output(header="", sep=";")
        self.failed = []
        self.log = Failures()

    def send(self, name, method, path, body=b"", content_type="", **environ):
        self.log.seen.clear()
        self.client.cookies.load(self.cookies)
        with nullcontext() if is_stream(path) else undone():
            answer = self.client.generic(method, path, body, content_type, **environ)
            if isinstance(answer, StreamingHttpResponse):
                answer.close()
        if answer.status_code >= 500 or self.log.seen:
            last = [line for text in self.log.seen for line in text.splitlines()[-1:]]
            self.failed.append(f"{name}: {method} {path[:150]} {answer.status_code} {last}")


@pytest.fixture
def world(transactional_db, ada, bob, agent):
    """Something at each address, and what names it."""
    ada.is_staff = ada.is_superuser = True
    ada.save()
    link = Link.objects.create(user=ada, machine_id="m1", hostname="laptop", protocol_version=1)
    key = ProviderKey.objects.create(organization=agent.organization, provider="openai", label="k")
    client = Client()
    client.force_login(ada)
    thread = client.post("/api/home/decopilot/threads", {}, JSON).json()["id"]
    return {
        "org": "home",
        "link_id": str(link.pk),
        "object_id": str(link.pk),
        "thread_id": thread,
        "key_id": str(key.pk),
        "run_id": str(uuid.uuid4()),
        "rule_id": str(uuid.uuid4()),
        "file_id": str(uuid.uuid4()),
        "pk": str(agent.pk),
        "name": agent.slug,
        "slug": agent.slug,
        "server": "tools",
        "content_type_id": "1",
        "app_label": "links",
        "tier": "smart",
    }


@pytest.fixture(params=["stranger", "signed in", "half signed in"])
def rude(request, world, ada, settings, caplog):
    settings.ACCOUNT_RATE_LIMITS = False
    client = Client()
    if request.param == "signed in":
        client.force_login(ada)
    if request.param == "half signed in":
        set_up(ada)
        client.post(reverse("account_login"), {"login": "ada", "password": PASSWORD})
    caplog.set_level(logging.ERROR, "django.request")  # a line for each refusal takes longest
    found = Rude(client, world, ROUTES if request.param == "signed in" else OPEN)
    logging.getLogger().addHandler(found.log)
    logging.getLogger("django.request").addHandler(found.log)
    yield found
    logging.getLogger().removeHandler(found.log)
    logging.getLogger("django.request").removeHandler(found.log)


def a_third(number, kinds):
    """Every third of the kinds, others for the next address: all with all takes minutes."""
    return [kind for index, kind in enumerate(kinds) if (number + index) % 3 == 0]


def test_odd_forms(rude):
    for number, route in enumerate(rude.routes):
        path, is_api = filled(route, rude.values), route.startswith("/api/")
        for name, body in () if is_api else a_third(number, forms()):
            rude.send(name, "POST", path, body, FORM)
        for name, content_type, body in a_third(number, BODIES):
            if is_api == content_type.startswith(JSON):  # neither takes the other's
                rude.send(name, "POST", path, body, content_type)

    assert not rude.failed, "\n".join(rude.failed)


def test_odd_queries(rude):
    for number, route in enumerate(rude.routes):
        path = filled(route, rude.values)
        for name, body in a_third(number, forms()):
            rude.send(name, "GET", f"{path}?{body[:8_000].decode()}")

    assert not rude.failed, "\n".join(rude.failed)


def test_odd_headers_and_methods(rude):
    for number, route in enumerate(rude.routes):
        path = filled(route, rude.values)
        # Headers are read by what all views share, but for a few.
        for name, environ in HEADERS.items() if number % 3 == 0 or "stream" in path else ():
            rude.send(name, "GET", path, **environ)
        for method in METHODS:
            rude.send("as it is", method, path)

    assert not rude.failed, "\n".join(rude.failed)


def test_odd_addresses(rude):
    for route in filter(lambda route: "<" in route, rude.routes):
        for name, odd in ODD_SEGMENTS.items():
            for method in ("GET", "POST", "DELETE"):
                rude.send(name, method, filled(route, rude.values, odd=odd), b"{}", JSON)

    assert not rude.failed, "\n".join(rude.failed)
