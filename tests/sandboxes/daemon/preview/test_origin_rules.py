"""What dev servers compare before they take a form, played by a server that keeps their rules.

Each rule is that of a framework's own source, as of the version named, and takes the headers that
reached the server. A preview must pass all of them, since Mesh itself refuses foreign pages first.
"""

from __future__ import annotations

import re

import pytest

from sandboxes.core.headers import inbound as edge
from sandboxes.daemon.preview.rules import inbound

PORT = 4000
LOCAL = re.compile(r"^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$")


def base_url(head):
    """The address that a framework behind proxies believes to be visited."""
    scheme = head.get("x-forwarded-proto", "http")
    return f"{scheme}://{head.get('x-forwarded-host', head['host'])}"


def next_action(head):
    """Next 16: the Origin of a Server Action is the host that a proxy, or else Host, names."""
    return head["origin"].split("//")[1] == head.get("x-forwarded-host", head["host"])


def rails(head):
    """Rails 8: forgery protection compares Origin with the request's base URL."""
    return head["origin"] == base_url(head)


def sveltekit(head):
    """SvelteKit 2: a form's Origin is that of the URL, which its dev server makes of Host."""
    return head["origin"] == f"http://{head['host']}"


def astro(head):
    """Astro 7: as SvelteKit, and forwarded hosts only if they are configured."""
    return head["origin"] == f"http://{head['host']}" and LOCAL.match(head["host"])


def django(head):
    """Django 5.2: Origin is scheme and host of the request; runserver knows no TLS."""
    is_allowed = LOCAL.match(head["host"])
    return is_allowed and head["origin"] == f"http://{head['host']}"


def django_referer(head):
    """Django 5.2, where a browser sends no Origin: the Referer's host is the request's."""
    return head["referer"].split("/")[2] == head["host"]


def bokeh(head):
    """Bokeh 3.9: the WebSocket's Origin is one of the hosts that it serves at."""
    return head["origin"].split("//")[1].lower() == f"localhost:{PORT}"


def vite(head):
    """Vite 8, webpack-dev-server 6: Host is a local name."""
    return bool(LOCAL.match(head["host"]))


RULES = [next_action, rails, sveltekit, astro, django, django_referer, bokeh, vite]
PREVIEWS = [
    pytest.param("https", "h.preview.mesh.example", id="public"),
    pytest.param("http", "h.localhost:8000", id="on this machine"),
]


def reaching(scheme, host, origin):
    """The headers that a dev server gets of a form that was sent at the preview."""
    sent = [
        (b"host", host.encode()),
        (b"origin", origin.encode()),
        (b"referer", f"{origin}/a/form".encode()),
        (b"forwarded", b"for=203.0.113.7;host=elsewhere.example;proto=https"),
        (b"x-forwarded-host", b"elsewhere.example"),
        (b"x-forwarded-port", b"443"),
    ]
    passed = edge(sent, host=host, scheme=scheme)
    over_wire = [(name.encode(), value.encode("latin-1")) for name, value in passed]
    told = inbound([(b"host", b"sandbox"), *over_wire], b"http://localhost:%d" % PORT)
    return {"host": f"localhost:{PORT}"} | {n.decode(): v.decode("latin-1") for n, v in told}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize(("scheme", "host"), PREVIEWS)
def test_a_form_of_the_preview_passes(rule, scheme, host):
    assert rule(reaching(scheme, host, f"{scheme}://{host}"))


@pytest.mark.parametrize("rule", [one for one in RULES if one is not vite])
@pytest.mark.parametrize(("scheme", "host"), PREVIEWS)
def test_one_of_a_foreign_page_would_not(rule, scheme, host):
    assert not rule(reaching(scheme, host, "https://evil.example"))
