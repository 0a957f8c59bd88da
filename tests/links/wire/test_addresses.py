"""The server calls where a person says: only what is surely meant may pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from links.wire.addresses import is_localhost, is_own_url, is_permitted, parse_hosts


@pytest.mark.parametrize("url", ["http://localhost:5174", "http://localhost:5174/"])
def test_this_very_machine(url):
    assert is_localhost(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "https://localhost:5174",
        "http://localhost.evil.example:5174",
        "http://localhost:5174@evil.example",
        "http://localhost:5174/admin",
        "http://localhost:0",
        "http://localhost:99999",
        "http://127.0.0.1:5174",
        "http://LOCALHOST:5174",
        "",
    ],
)
def test_not_this_very_machine(url):
    assert not is_localhost(url)


@pytest.mark.parametrize(
    "url",
    ["https://lap.tail1.ts.net", "https://a-b.ngrok.app/", "https://mesh.example:8443"],
)
def test_an_address_of_ones_own(url):
    assert is_own_url(url)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://lap.ts.net", id="not encrypted"),
        pytest.param("https://127.0.0.1", id="a number"),
        pytest.param("https://169.254.169.254", id="a cloud's metadata"),
        pytest.param("https://[::1]", id="a number of six"),
        pytest.param("https://0x7f.1", id="a number in disguise"),
        pytest.param("https://localhost", id="no dot"),
        pytest.param("https://metadata", id="no dot either"),
        pytest.param("https://ada:pw@lap.ts.net", id="a password"),
        pytest.param("https://lap.ts.net/path", id="a path"),
        pytest.param("https://lap.ts.net?x", id="a query"),
        pytest.param("https://lap.ts.net#x", id="a fragment"),
        pytest.param("https://lap.ts.net:0", id="no port"),
        pytest.param("https://lap.ts.net:http", id="a port in letters"),
        pytest.param("https://lap.ts.net.", id="a dot at the end"),
        pytest.param("https://läp.ts.net", id="letters of another alphabet"),
        pytest.param("https://", id="nothing"),
        pytest.param("https://[", id="broken"),
    ],
)
def test_no_address_of_ones_own(url):
    assert not is_own_url(url)


@pytest.mark.parametrize(
    ("url", "hosts", "permitted"),
    [
        pytest.param("https://lap.ts.net", ["*.ts.net"], True, id="below the name"),
        pytest.param("https://a.b.ts.net", ["*.ts.net"], True, id="far below it"),
        pytest.param("https://ts.net", ["*.ts.net"], False, id="the name itself"),
        pytest.param("https://evilts.net", ["*.ts.net"], False, id="a name that ends alike"),
        pytest.param("https://lap.example", ["lap.example"], True, id="a whole name"),
        pytest.param("https://LAP.example", ["lap.EXAMPLE"], True, id="letters of any size"),
        pytest.param("https://x.lap.example", ["lap.example"], False, id="below a whole name"),
        pytest.param("https://lap.example", [], False, id="none is allowed"),
        pytest.param("http://lap.example", ["lap.example"], False, id="not encrypted"),
    ],
)
def test_the_operator_decides(url, hosts, permitted):
    assert is_permitted(url, hosts=hosts) is permitted


@given(st.text())
def test_nothing_crashes_it(text):
    assert not is_permitted(text, hosts=["*.allowed.example"]) or text.startswith("https://")


def test_hosts_of_a_setting():
    given_text = " *.ts.net, Lap.Example ,,*,10.0.0.1,*.1.1,http://x.example"

    assert parse_hosts(given_text) == ("*.ts.net", "lap.example")
