"""What the laptop takes for an answer, and what not."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from links.daemon import oauth, web
from links.daemon.oauth import Codes, Refused, Tokens, UnexpectedAnswer
from tests.links.daemon.scripted import ScriptedServer, refusal, tokens

CODES = {
    "device_code": "d3vice",
    "user_code": "BCDF-GHJK",
    "verification_uri": "https://mesh.example/identity/o/device",
    "verification_uri_complete": "https://mesh.example/identity/o/device?code=BCDF-GHJK",
    "expires_in": 600,
    "interval": 2,
}


@pytest.fixture
def server():
    with ScriptedServer() as server:
        yield server


def test_codes():
    codes = Codes.parse(CODES)

    assert (codes.user_code, codes.interval, codes.expires_in) == ("BCDF-GHJK", 2, 600)


def test_what_a_server_may_leave_out():
    few = {k: v for k, v in CODES.items() if k not in {"interval", "verification_uri_complete"}}

    codes = Codes.parse(few)

    assert codes.interval == 5  # RFC 8628, section 3.2
    assert codes.uri_complete == codes.uri


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"user_code": "\x1b[2J"}, id="a code that commands the terminal"),
        pytest.param({"user_code": 7}, id="a code that is no text"),
        pytest.param({"user_code": "x" * 21}, id="an endless code"),
        pytest.param({"device_code": ""}, id="no device code"),
        pytest.param({"device_code": "a b"}, id="a device code with a space"),
        pytest.param({"verification_uri": "javascript:alert(1)"}, id="no web address"),
        pytest.param({"verification_uri": "https://x/\x07"}, id="an address that rings"),
        pytest.param({"verification_uri": "https://[x"}, id="a broken address"),
        pytest.param({"verification_uri": None}, id="no address"),
        pytest.param({"expires_in": "600"}, id="seconds as text"),
        pytest.param({"expires_in": float("nan")}, id="no number"),
        pytest.param({"expires_in": True}, id="a truth"),
        pytest.param({"interval": -1}, id="negative"),
    ],
)
def test_odd_codes_are_refused(wrong):
    with pytest.raises(UnexpectedAnswer):
        Codes.parse(CODES | wrong)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(CODES)), json_values) | json_values)
def test_whatever_a_server_says_only_plain_text_is_shown(said):
    try:
        codes = Codes.parse({**CODES, **said} if isinstance(said, dict) else said)
    except UnexpectedAnswer:
        return
    assert set(codes.user_code) <= set(string.ascii_letters + string.digits + "-")
    assert codes.uri.isprintable()
    assert codes.uri.startswith(("http://", "https://"))
    assert 0 <= codes.interval <= 60
    assert 0 <= codes.expires_in <= 3600


@given(json_values, st.dictionaries(st.sampled_from(sorted(tokens("a")[1])), json_values))
def test_whatever_a_server_says_a_token_fits_into_a_header(said, changed):
    for value in (said, tokens("a")[1] | changed):
        try:
            got = Tokens.parse(value, now=100.0)
        except UnexpectedAnswer:
            continue
        assert got.access.isascii()
        assert got.access.isprintable()
        assert " " not in got.access
        assert 100.0 <= got.renew_at <= got.expires_at


def test_a_token_is_renewed_when_a_fifth_of_its_life_is_left():
    got = Tokens.parse(tokens("a", life=100)[1], now=1000.0)

    assert (got.renew_at, got.expires_at) == (1080.0, 1100.0)


def test_what_is_sent_when_asking(server):
    server.script = [(200, CODES)]

    oauth.ask_code(server.url, {"hostname": "lap & top", "machine_id": "m1"})

    path, form = server.asked[0]
    assert path == "/identity/o/api/device/code"
    assert form == {
        "client_id": "mesh-link",
        "scope": "link",
        "hostname": "lap & top",
        "machine_id": "m1",
    }


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        pytest.param(refusal("invalid_grant"), Refused, id="OAuth's no"),
        pytest.param((401, {"error": "invalid_grant"}), web.Unreachable, id="401 is no verdict"),
        pytest.param((403, {"error": "invalid_grant"}), web.Unreachable, id="nor is 403"),
        pytest.param((429, {"error": "x"}), web.Unreachable, id="too often"),
        pytest.param((503, b"<html>"), web.Unreachable, id="down"),
        pytest.param((400, b"<html>"), web.Unreachable, id="a proxy's 400"),
        pytest.param((400, {"error": {"code": "x"}}), web.Unreachable, id="400 of another API"),
        pytest.param((404, b""), UnexpectedAnswer, id="another program's server"),
        pytest.param((301, b""), UnexpectedAnswer, id="elsewhere"),
        pytest.param((200, b"hello"), UnexpectedAnswer, id="a login page of the hotel"),
    ],
)
def test_refusals_are_distinguished_from_outages(server, answer, raised):
    server.script = [answer]

    with pytest.raises(raised):
        oauth.renew(server.url, "r", now=0)


def test_a_server_that_is_not_there():
    with pytest.raises(web.Unreachable, match="can't be reached"):
        oauth.renew("http://127.0.0.1:1", "r", now=0)


def test_no_token_goes_where_a_redirect_points(server):
    with ScriptedServer() as thief:
        server.script = [(307, b"")]
        with pytest.raises(UnexpectedAnswer, match="redirects"):
            oauth.revoke(server.url, "secret")
        assert thief.asked == []
