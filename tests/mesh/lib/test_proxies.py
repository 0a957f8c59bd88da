"""Who the client is, read from the right of X-Forwarded-For."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.proxies import MOST, BadProxy, Proxies, limit_key, parse_hop, parse_proxies

NEAR, FAR, CLIENT, LIE = "10.0.0.1", "10.0.0.2", "203.0.113.7", "198.51.100.9"


@pytest.mark.parametrize(
    ("setting", "peer", "lines", "client"),
    [
        pytest.param("", NEAR, [LIE], NEAR, id="no proxy is named"),
        pytest.param(NEAR, CLIENT, [LIE], CLIENT, id="the peer is no proxy"),
        pytest.param(NEAR, NEAR, [], NEAR, id="the proxy says nothing"),
        pytest.param(NEAR, NEAR, [CLIENT], CLIENT, id="one proxy"),
        pytest.param(NEAR, NEAR, [f"{LIE}, {CLIENT}"], CLIENT, id="appended to a lie"),
        pytest.param(NEAR, NEAR, [LIE, CLIENT], CLIENT, id="appended as a line of its own"),
        pytest.param("10.0.0.0/8", NEAR, [f"{LIE}, {CLIENT}, {FAR}"], CLIENT, id="two proxies"),
        pytest.param("10.0.0.0/8", NEAR, [f"{FAR}"], FAR, id="the client is a proxy"),
        pytest.param(NEAR, NEAR, [f"{CLIENT}, {FAR}"], FAR, id="the far one is not named"),
        pytest.param(NEAR, NEAR, [f"{LIE}, unknown"], NEAR, id="an unknown client"),
        pytest.param("10.0.0.0/8", NEAR, [f"{LIE}, _x, {FAR}"], FAR, id="a hidden client"),
        pytest.param(NEAR, NEAR, [f"{CLIENT},"], NEAR, id="an empty entry"),
        pytest.param(NEAR, NEAR, [f"{CLIENT}:4711"], CLIENT, id="with a port"),
        pytest.param(NEAR, NEAR, ["[2001:db8::7]:4711"], "2001:db8::7", id="v6 with a port"),
        pytest.param(NEAR, f"::ffff:{NEAR}", [CLIENT], CLIENT, id="the proxy, written as v6"),
        pytest.param("::1,unix", "", [CLIENT], CLIENT, id="a unix socket"),
        pytest.param("::1", "", [CLIENT], "", id="a unix socket that is not named"),
        pytest.param("1", NEAR, [f"{LIE}, {CLIENT}"], CLIENT, id="count of one"),
        pytest.param("2", NEAR, [f"{LIE}, {CLIENT}, {FAR}"], CLIENT, id="count of two"),
        pytest.param("2", NEAR, [CLIENT], CLIENT, id="fewer entries than proxies"),
        pytest.param("2", NEAR, [f"{LIE}, unknown, {FAR}"], FAR, id="count, unknown client"),
        pytest.param("1", NEAR, [], NEAR, id="count, but no header"),
    ],
)
def test_the_client(setting, peer, lines, client):
    assert parse_proxies(setting).client(peer, lines) == client


ADDRESSES = st.ip_addresses().map(str)
JUNK = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", " ", "unknown", "_hidden", "[", "[::1", "]", "1.2.3.4:x", "1.2.3", ",,"]),
    ADDRESSES.map(lambda text: f"[{text}]:443"),
)


@given(st.lists(JUNK, max_size=5), st.sampled_from(["1", "10.0.0.0/8"]))
def test_nothing_that_a_client_sends_moves_the_address_its_proxy_saw(sent, setting):
    proxies = parse_proxies(setting)

    assert proxies.client(NEAR, [*sent, CLIENT]) == CLIENT
    assert proxies.client(NEAR, [", ".join([*sent, CLIENT])]) == CLIENT


@given(st.lists(JUNK, max_size=5), st.sampled_from(["", "1", "3", "10.0.0.0/8", "unix,::1"]))
def test_the_answer_is_always_an_address(sent, setting):
    client = parse_proxies(setting).client(NEAR, sent)

    assert str(ip_address(client)) == client


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_an_entry_that_is_an_address(text, address):
    assert str(parse_hop(text)) == address


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "unknown",
            "_secret",
            "localhost",
            "192.0.2.1:",
            "192.0.2.1:port",
            "192.0.2.1:1234567",
        ),
        *("[192.0.2.1]", "[2001:db8::1", "2001:db8::1]", "[2001:db8::1]80", "192.0.2.1 192.0.2.2"),
        "192.0.2.1\x00",
        *("192.0.2.1:1234567", '"192.0.2.1"', "for=192.0.2.1", "010.0.0.1", "1.2.3", "0x7f.1"),
    ],
)
def test_an_entry_that_is_none(text):
    assert parse_hop(text) is None


@given(st.text(max_size=60))
def test_any_entry_is_an_address_or_none(text):
    found = parse_hop(text)

    assert found is None or parse_hop(str(found)) == found


@pytest.mark.parametrize(
    ("text", "proxies"),
    [
        ("", Proxies()),
        ("0", Proxies()),
        ("2", Proxies(count=2)),
        (" , ", Proxies()),
        ("unix", Proxies(takes_unix=True)),
    ],
)
def test_a_setting(text, proxies):
    assert parse_proxies(text) == proxies


@pytest.mark.parametrize(
    "text",
    [
        *("*", "caddy", "localhost", "10.0.0.1/8", "-1", "1,10.0.0.1", "10.0.0.1:80", "٣"),
        *(str(MOST + 1), "0.0.0.0/0", "::/0"),
    ],
)
def test_a_setting_that_is_refused(text):
    with pytest.raises(BadProxy):
        parse_proxies(text)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        pytest.param("192.0.2.1", "192.0.2.1", id="v4"),
        pytest.param("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", id="v6"),
        pytest.param("2001:db8:1:2::9", "2001:db8:1:2::/64", id="its neighbour"),
        pytest.param("::ffff:192.0.2.1", "192.0.2.1", id="v4 in v6"),
        pytest.param("", "", id="a unix socket"),
    ],
)
def test_what_a_limit_counts(address, key):
    assert limit_key(address) == key
