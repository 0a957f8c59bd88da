"""The door of previews: what a stranger with its cookie alone, or another page, gets there."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

FOREIGN = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}
DOTTED = [
    pytest.param("/../{route}", id="raw"),
    pytest.param("/a/../../{route}", id="between"),
    pytest.param("/%2e%2e/{route}", id="encoded"),
    pytest.param("/%252e%252e/{route}", id="encoded twice"),
    pytest.param("/..%2f{route}", id="an encoded slash"),
    pytest.param("/..\\{route}", id="a backslash"),
    pytest.param("/..;x=1/{route}", id="parameters"),
    pytest.param("/../../other-0123456789abcdef/{route}", id="another sandbox"),
    pytest.param("/../../../api/sandboxes", id="the link's control plane"),
]


class Preview:
    """Ada's preview, as a client that tidies nothing asks it."""

    def __init__(self, front):
        with front.client() as api:
            offer = api.post(f"/threads/{front.thread}/sandbox/preview", json={}).json()
        self.rude, self.host = front.rude(), urlsplit(offer["origin"]).netloc
        self.entry = offer["url"].partition("#")[0]
        self.ticket = offer["url"].partition("#ticket=")[2]
        self.entered = self.ask("POST", "/.mesh/enter", body=self.ticket.encode())
        self.cookie = self.entered.headers["set-cookie"].partition(";")[0]

    def ask(self, method, target, headers=(), *, body=b""):
        return self.rude.request(method, target, headers, body, host=self.host)

    def ask_with_cookie(self, method, target, headers=(), **more):
        return self.ask(method, target, {"Cookie": self.cookie, **dict(headers)}, **more)


@pytest.fixture(scope="module")
def preview(front):
    return Preview(front)


@pytest.mark.parametrize("route", ["read", "config", "bash"])
@pytest.mark.parametrize("target", DOTTED)
def test_no_address_leads_out_of_a_preview(preview, target, route):
    answer = preview.ask_with_cookie("POST", target.replace("{route}", route), body=b"{}")

    assert (answer.status, answer.code) == (400, "bad_target")


@pytest.mark.parametrize("target", DOTTED)
def test_no_websocket_leads_out_of_a_preview(preview, target):
    target = target.replace("{route}", "events")
    answer = preview.rude.upgrade(target, {"Cookie": preview.cookie}, host=preview.host)

    assert answer.status == 400


@pytest.mark.parametrize(
    "target", ["/@fs/a/x.js", "/a..b", "/...", "//a%2Fb", "/.vite/x.js?v=../1", "/%2e%2efoo"]
)
def test_what_a_dev_server_is_asked_for_passes(preview, target):
    answer = preview.ask_with_cookie("GET", target, {"Accept": "application/json"})

    # There is no dev server in this sandbox, which is what the answer says.
    assert (answer.status, answer.code) == (503, "dev_server_starting")


def test_without_a_cookie_there_is_nothing(preview):
    assert preview.ask("GET", "/", {"Accept": "application/json"}).code == "unauthorized"


def test_a_page_of_another_preview_loads_nothing(preview):
    refused = preview.ask_with_cookie("GET", "/", FOREIGN)
    leads = {**FOREIGN, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    led_here = preview.ask_with_cookie("GET", "/", leads)

    assert (refused.status, refused.code) == (403, "foreign_origin")
    assert led_here.status == 503  # nobody keeps it out
    told = [refused.headers, led_here.headers, preview.entered.headers]
    assert {one["cross-origin-resource-policy"] for one in told} == {"same-origin"}


def test_the_cookie_is_the_hosts_alone_where_there_is_tls(front, preview):
    name = "__Host-mesh_preview" if front.url.startswith("https:") else "mesh_preview"

    assert preview.cookie.partition("=")[0] == name
    assert "HttpOnly" in preview.entered.headers["set-cookie"]
    assert "Domain" not in preview.entered.headers["set-cookie"]


def test_the_entry_is_a_page_beside_the_preview_where_no_app_runs(front, preview):
    beside = urlsplit(preview.entry)
    page = preview.rude.request("GET", beside.path, host=beside.netloc)
    app = preview.rude.request("GET", "/", {"Cookie": preview.cookie}, host=beside.netloc)
    again = preview.ask("POST", "/.mesh/enter", body=preview.ticket.encode())

    assert (page.status, app.status) == (200, 404)
    assert (
        f"connect-src {front.url.partition('://')[0]}://{preview.host};"
        in (page.headers["content-security-policy"])
    )
    assert (again.status, again.code) == (401, "bad_ticket")


def test_no_ticket_is_in_a_log(front, preview):
    preview.rude.request("GET", urlsplit(preview.entry).path, host=urlsplit(preview.entry).netloc)

    assert preview.ticket not in front.log()


@pytest.mark.parametrize("rest", ["config", "scripts", "events"])
@pytest.mark.parametrize("dest", ["document", "iframe", "script"])
def test_no_browser_shows_what_a_sandbox_answers(front, rest, dest):
    target = f"/api/home/vm/default/main/{rest}"
    headers = {"Cookie": front.ada.cookie, "Sec-Fetch-Dest": dest}

    answer = front.rude().request("GET", target, headers)

    assert (answer.status, answer.code) == (403, "not_a_page")


def test_what_a_sandbox_answers_is_data(front):
    target = f"/api/home/vm/default/thread:{front.thread}/config"

    answer = front.rude().request("GET", target, {"Cookie": front.ada.cookie})

    assert answer.headers["content-type"] in ("application/json", "application/octet-stream")
    assert answer.headers["x-content-type-options"] == "nosniff"
