"""Which addresses may be reached by what people and models write."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.addresses import BadEntry, first_refused, is_public, parse_allowed


@pytest.mark.parametrize(
    "text", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::5db8:d822"]
)
def test_is_public(text):
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("127.0.0.1", id="this machine"),
        pytest.param("0.0.0.0", id="any of this machine"),
        pytest.param("10.1.2.3", id="private"),
        pytest.param("192.168.0.1", id="at home"),
        pytest.param("172.16.0.1", id="private, the middle block"),
        pytest.param("100.100.100.200", id="a cloud's metadata in the shared block"),
        pytest.param("169.254.169.254", id="metadata"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("::1", id="this machine, v6"),
        pytest.param("::", id="any, v6"),
        pytest.param("fd00:ec2::254", id="metadata, v6"),
        pytest.param("fe80::1", id="link-local, v6"),
        pytest.param("::ffff:127.0.0.1", id="mapped"),
        pytest.param("::7f00:1", id="compatible"),
        pytest.param("2002:7f00:1::", id="6to4"),
        pytest.param("64:ff9b::a9fe:a9fe", id="metadata through NAT64"),
    ],
)
def test_is_not_public(text):
    assert not is_public(ip_address(text))


@given(st.ip_addresses(v=4))
def test_what_is_packed_into_v6_is_judged_as_itself(address):
    assert is_public(ip_address(f"::ffff:{address}")) == is_public(address)
    assert is_public(ip_address(f"64:ff9b::{address}")) == is_public(address)


@pytest.mark.parametrize(
    ("entries", "host", "address", "port", "covered"),
    [
        pytest.param("localhost:11434", "localhost", "127.0.0.1", 11434, True, id="name and port"),
        pytest.param("localhost:11434", "localhost", "127.0.0.1", 22, False, id="another port"),
        pytest.param("*.corp", "llm.corp", "10.0.0.9", 443, True, id="below a name"),
        pytest.param("*.corp", "corp", "10.0.0.9", 443, False, id="not the name itself"),
        pytest.param("*.corp", "evilcorp", "10.0.0.9", 443, False, id="only looks like below"),
        pytest.param("10.0.0.0/8", "llm", "10.0.0.9", 443, True, id="network"),
        pytest.param("10.0.0.0/8", "llm", "::ffff:10.0.0.9", 443, True, id="mapped into it"),
        pytest.param("10.0.0.0/8", "llm", "11.0.0.9", 443, False, id="beside the network"),
        pytest.param("0.0.0.0/0", "m", "169.254.169.254", 80, False, id="metadata by a range"),
        pytest.param("169.254.169.254", "m", "169.254.169.254", 80, True, id="named exactly"),
        pytest.param("[::1]:8080", "::1", "::1", 8080, True, id="v6 with a port"),
        pytest.param("::1", "::1", "::1", 8080, True, id="v6 bare"),
        pytest.param("", "localhost", "127.0.0.1", 80, False, id="empty: nothing"),
    ],
)
def test_the_operators_list(entries, host, address, port, covered):
    assert parse_allowed(entries).covers(host, ip_address(address), port) is covered


@pytest.mark.parametrize("entry", ["10.0.0.0/64", "host:99999", "a b", "http://x", "1.2.3.4.5"])
def test_an_entry_that_is_none_is_refused_in_words(entry):
    with pytest.raises(BadEntry, match=r"is no|no such port"):
        parse_allowed(entry)


@given(st.text(max_size=60))
def test_any_text_is_a_list_or_is_refused(text):
    try:
        parse_allowed(text)
    except BadEntry:
        pass


def test_one_private_address_among_public_ones_is_refused():
    addresses = [ip_address("1.1.1.1"), ip_address("127.0.0.1")]

    assert first_refused("two.example", addresses, 443, parse_allowed("")) == addresses[1]
