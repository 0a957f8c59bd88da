"""Which addresses may be reached by what people and models write."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.addresses import (
    BadEntry,
    first_refused,
    is_odd_number,
    is_public,
    parse_address,
    parse_allowed,
)


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
        pytest.param("2002:5db8:d822::", id="6to4 of a public one: the tunnel is another's"),
        pytest.param("64:ff9b::a9fe:a9fe", id="metadata through NAT64"),
        pytest.param("64:ff9b:1::a9fe:a9fe", id="metadata through a NAT64 of the network's own"),
        pytest.param("64:ff9b:1:a9fe:a9:fe00::", id="the same, with a longer prefix"),
        pytest.param("::ffff:0:a9fe:a9fe", id="translated without state (SIIT)"),
        pytest.param("::ffff:0:7f00:1", id="this machine, translated"),
        pytest.param("::5db8:d822", id="compatible with a public one"),
        pytest.param("fec0::1", id="site-local"),
        pytest.param("feff::1", id="site-local, its end"),
        pytest.param("192.88.99.1", id="relay of 6to4"),
        pytest.param("2606:4700::5efe:a9fe:a9fe", id="ISATAP"),
        pytest.param("2606:4700::200:5efe:7f00:1", id="ISATAP, universal"),
        pytest.param("2001:0:5db8:d822::1", id="Teredo"),
        pytest.param("168.63.129.16", id="Azure's WireServer"),
        pytest.param("::ffff:168.63.129.16", id="Azure's WireServer, mapped"),
        pytest.param("64:ff9b::a83f:8110", id="Azure's WireServer, through NAT64"),
        pytest.param("192.0.0.192", id="metadata of Oracle Classic"),
        pytest.param("192.0.0.8", id="the IETF's protocols"),
        pytest.param("fd20:ce::254", id="metadata of Google, v6"),
        pytest.param("198.18.0.1", id="benchmarks"),
        pytest.param("100.64.0.1", id="shared by a provider's customers"),
        pytest.param("240.0.0.1", id="reserved"),
        pytest.param("2001:20::1", id="a key, not a host (ORCHIDv2)"),
        pytest.param("3fff::1", id="documentation"),
        pytest.param("5f00::1", id="segment routing"),
        pytest.param("4000::1", id="given to nobody"),
        pytest.param("100:0:0:1::1", id="dummy prefix"),
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
        pytest.param("m", "m", "169.254.169.254", 80, False, id="metadata by a name"),
        pytest.param("*.corp", "m.corp", "169.254.169.254", 80, False, id="metadata below a name"),
        pytest.param("m", "m", "::ffff:169.254.169.254", 80, False, id="metadata, mapped"),
        pytest.param("m", "m", "64:ff9b::a9fe:a9fe", 80, False, id="metadata through NAT64"),
        pytest.param("fd00::/8", "m", "fd00:ec2::254", 80, False, id="metadata, v6, by a range"),
        pytest.param("m", "m", "fec0::1", 80, False, id="site-local by a name"),
        pytest.param("m", "m", "0.0.0.0", 80, False, id="any address by a name"),
        pytest.param("m", "m", "224.0.0.1", 80, False, id="multicast by a name"),
        pytest.param("*.corp", "m.corp", "127.0.0.1", 80, False, id="this machine below a name"),
        pytest.param("*.corp", "m.corp", "::1", 80, False, id="this machine below a name, v6"),
        pytest.param("ollama", "ollama", "127.0.0.1", 80, True, id="this machine by its name"),
        pytest.param("[::1]:8080", "::1", "::1", 8080, True, id="v6 with a port"),
        pytest.param("::1", "::1", "::1", 8080, True, id="v6 bare"),
        pytest.param("", "localhost", "127.0.0.1", 80, False, id="empty: nothing"),
    ],
)
def test_the_operators_list(entries, host, address, port, covered):
    assert parse_allowed(entries).covers(host, ip_address(address), port) is covered


METADATA = (
    *("169.254.169.254", "169.254.170.2", "fe80::a9fe:a9fe", "fd00:ec2::254", "fd00:ec2::23"),
    *("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd20:ce::254", "fd00:42::42"),
)


@pytest.mark.parametrize("address", METADATA)
def test_the_readmes_example_opens_no_metadata(address):
    row = next(
        line
        for line in (Path(__file__).parents[3] / "README.md").read_text().splitlines()
        if line.startswith("| `MESH_PRIVATE_HOSTS`")
    )
    example = parse_allowed(row.partition("such as `")[2].partition("`")[0])

    assert example.covers("llm.internal", ip_address("10.0.0.9"), 443)
    for host in ("metadata.google.internal", "localhost", address):
        assert first_refused(host, [ip_address(address)], 80, example) is not None
        assert first_refused(host, [ip_address(address)], 11434, example) is not None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param("[::1]", "::1", id="in brackets"),
        pytest.param("fe80::1%eth0", "fe80::1", id="with a zone"),
        pytest.param("127.0.0.1.", "127.0.0.1", id="with a dot behind it"),
        pytest.param("\uff11\uff12\uff17.0.0.1", "127.0.0.1", id="full-width digits"),
        pytest.param("127\u30020\u30020\uff0e1", "127.0.0.1", id="other dots"),
    ],
)
def test_an_address_is_known_however_it_is_written(text, address):
    assert parse_address(text) == ip_address(address)


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.1", True),
        ("2130706433", True),
        ("0x7f.1", True),
        ("0x7f000001", True),
        ("0177.0.0.1", True),
        ("127.0.0.1.1", True),
        ("\uff11\uff12\uff17.1", True),
        ("1.2.3.4", False),
        ("1.2.3.4.", False),
        ("x.0x", True),
        ("4chan.example", False),
        ("a.b1", False),
        ("", False),
    ],
)
def test_numbers_that_resolvers_take_for_addresses(host, answer):
    assert is_odd_number(host) is answer


@pytest.mark.parametrize("entry", ["10.0.0.0/64", "host:99999", "a b", "http://x", "1.2.3.4.5"])
def test_an_entry_that_is_none_is_refused_in_words(entry):
    with pytest.raises(BadEntry, match=r"is no|invalid port"):
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
