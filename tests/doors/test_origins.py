"""Only a page of Mesh's own address, scheme and port included, opens its socket."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest


def other_scheme(url):
    parts = urlsplit(url)
    return f"{'https' if parts.scheme == 'http' else 'http'}://{parts.netloc}"


@pytest.mark.parametrize(
    "origin_of",
    [
        pytest.param(other_scheme, id="another scheme"),
        pytest.param(lambda url: f"{url}1", id="another port"),
        pytest.param(lambda url: f"{url.rpartition(':')[0]}", id="no port"),
        pytest.param(lambda url: "https://evil.example", id="another site"),
        pytest.param(lambda url: "null", id="a sandboxed frame"),
        pytest.param(lambda url: url.replace("://", "://user@"), id="with a user"),
    ],
)
def test_another_origins_page_gets_no_socket(front, origin_of):
    headers = {"Origin": origin_of(front.url), "Cookie": front.ada.cookie}

    assert front.rude().upgrade("/ws", headers).status == 403


def test_our_own_page_gets_it(front):
    headers = {"Origin": front.url, "Cookie": front.ada.cookie}

    assert front.rude().upgrade("/ws", headers).status == 101


def test_no_page_opens_a_machines_tunnel(front):
    headers = front.ada.bearer | {"Origin": front.url}

    assert front.rude().upgrade("/api/links/connect", headers).status == 403
