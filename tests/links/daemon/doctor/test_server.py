"""What stands on the way to the server: each fault gets its own words, and the fix."""

import asyncio
import socket
import ssl
from email.utils import formatdate

import pytest

from links.daemon.doctor import http, server
from links.daemon.doctor.http import Answer
from links.daemon.tokens import TokenFile
from mesh.version import VERSION


def found(url, token_file):
    async def collect():
        return [one async for one in server.examine(url, TokenFile(token_file))]

    return {one.subject: one for one in asyncio.run(collect())}


def states(findings):
    return {subject: one.state for subject, one in findings.items()}


def test_the_websocket_is_what_a_plain_server_lacks(fake, token_file):
    assert states(found(fake.url, token_file)) == {
        "proxy": "ok",
        "DNS": "ok",
        "TLS": "ok",
        "server": "ok",
        "clock": "ok",
        "versions": "ok",
        "sign-in": "ok",
        "WebSocket": "fail",
        "streams": "ok",
    }


def test_a_server_that_is_away(token_file):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        findings = found(f"http://127.0.0.1:{taken.getsockname()[1]}", token_file)

    assert findings["server"].state == "fail"
    assert "refused" in findings["server"].detail
    assert "sign-in" not in findings


def test_a_name_that_does_not_exist(token_file, monkeypatch):
    async def getaddrinfo(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    findings = found("https://mesh.invalid", token_file)

    assert states(findings) == {"proxy": "ok", "DNS": "fail"}
    assert "mesh.invalid: Name or service not known" in findings["DNS"].detail


def test_a_streams_first_event_that_is_held_back(fake, token_file, monkeypatch):
    monkeypatch.setattr(server, "NOT_BUFFERED", 0.3)
    fake.is_buffering = True

    finding = found(fake.url, token_file)["streams"]

    assert finding.state == "warn"
    assert "buffering" in finding.fix


def test_a_token_that_is_refused(fake, token_file):
    fake.answers["/api/links/me"] = (401, {"error": {"message": "The token has expired."}})

    findings = found(fake.url, token_file)

    assert findings["sign-in"].state == "fail"
    assert "The token has expired." in findings["sign-in"].detail
    assert "WebSocket" not in findings


def test_no_token_at_all(fake, tmp_path):
    finding = found(fake.url, tmp_path / "none")["sign-in"]

    assert (finding.state, "mesh_token" in finding.fix) == ("fail", True)


def test_the_token_goes_only_where_it_must(fake, token_file):
    found(fake.url, token_file)

    with_token = {path for path, header in fake.asked if header}
    assert with_token == {"/api/links/me", "/api/links/stream", "/api/links/connect"}


@pytest.mark.parametrize(
    ("ahead", "state"),
    [(0, "ok"), (4, "ok"), (-10, "warn"), (29, "warn"), (31.5, "warn"), (-3600, "warn")],
)
def test_the_clock(ahead, state):
    finding = server.judge_clock(ahead)

    assert finding.state == state
    assert bool(finding.fix) is (state != "ok")


def test_the_clock_is_read_from_the_answer(fake, token_file):
    fake.ahead = 3600

    finding = found(fake.url, token_file)["clock"]

    assert (finding.state, "behind the server's" in finding.detail) == ("warn", True)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Foo"])
def test_a_date_that_is_none_tells_nothing(date):
    assert http._ahead(date, 0.0) is None


def test_a_date_is_cut_off_to_seconds():
    assert http._ahead(formatdate(1000, usegmt=True), 1000.5) == 0


@pytest.mark.parametrize(
    ("status", "value", "state", "words"),
    [
        pytest.param(200, {"version": "1", "database": "ok"}, "ok", "Mesh 1", id="well"),
        pytest.param(503, {"version": "1", "database": "x"}, "fail", "database", id="half"),
        pytest.param(200, None, "fail", "not from a Mesh server", id="a hotel's sign-in page"),
        pytest.param(404, {"error": "x"}, "fail", "HTTP 404", id="another service"),
    ],
)
def test_who_answers(status, value, state, words):
    finding = server.judge_server(Answer(status, value, None))

    assert (finding.state, words in finding.detail) == (state, True)


@pytest.mark.parametrize(
    ("offer", "state"),
    [
        pytest.param({"version": VERSION, "protocol": {"minimum": 1}}, "ok", id="the same"),
        pytest.param({"version": "9.9", "protocol": {"minimum": 1}}, "warn", id="another"),
        pytest.param({"version": "9.9", "protocol": {"minimum": 99}}, "fail", id="too old"),
        pytest.param(None, "warn", id="a server that says nothing"),
        pytest.param({"version": VERSION, "protocol": "x"}, "ok", id="odd"),
    ],
)
def test_versions(offer, state):
    assert server.judge_versions(offer).state == state


def test_a_wrong_version_comes_with_the_exact_command():
    offer = {"version": "9.9", "protocol": {"minimum": 99}, "pip": "pip install X"}

    assert server.judge_versions(offer).fix == "Update: pip install X"


@pytest.mark.parametrize(("host", "state"), [("127.0.0.1", "ok"), ("mesh.example", "warn")])
def test_plain_http_is_for_this_machine_only(host, state):
    assert server.judge_plain(host).state == state


class Connection:
    def version(self):
        return "TLSv1.3"

    def getpeercert(self):
        return {"notAfter": "Jan  5 09:34:43 2030 GMT"}


@pytest.mark.parametrize(("days", "state"), [(90, "ok"), (13, "warn")])
def test_a_certificate_that_expires_soon_is_reported(days, state):
    ends = ssl.cert_time_to_seconds("Jan  5 09:34:43 2030 GMT")

    assert server.judge_certificate(Connection(), now=ends - days * 86400).state == state


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://mesh.example", "proxy.example:3128"),
        ("https://inside.example", ""),
        ("http://127.0.0.1:8321", ""),
    ],
)
def test_a_proxy_is_named_without_its_password(url, proxy, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://ada:hush@proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")

    assert http.proxy_of(url) == proxy
