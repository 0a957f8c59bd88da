"""The preview's pure rules."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.daemon.preview.rules import (
    Inserter,
    gets_script,
    inbound,
    is_html,
    outbound,
    unpacker_of,
    waiting_page,
)

OWN = b"http://localhost:3000"
PAGE = b"<!doctype html><HTML><Head data-x='1'><title>t</title></head><header>h</header></html>"


@given(cuts=st.lists(st.integers(0, len(PAGE)), max_size=8))
def test_the_script_stands_behind_the_head_however_it_comes(cuts):
    edges = [0, *sorted(cuts), len(PAGE)]
    inserter = Inserter(b"<S>")
    pieces = [inserter.feed(PAGE[a:b]) for a, b in pairwise(edges)]

    assert b"".join([*pieces, inserter.end()]) == PAGE.replace(b"'1'>", b"'1'><S>")


@pytest.mark.parametrize("page", [b"", b"no head", b"<header>", b"x" * 200_000])
def test_a_page_without_a_head_stays_as_it_is(page):
    inserter = Inserter(b"<S>")

    assert inserter.feed(page) + inserter.end() == page


@given(headers=st.lists(st.tuples(st.sampled_from([b"a", b"Host", b"origin"]), st.binary())))
def test_any_headers_pass_in_and_out(headers):
    assert b"host" not in dict(inbound(headers, OWN))
    outbound(headers, 3000, is_changed=True)


@pytest.mark.parametrize(
    ("location", "told"),
    [
        (b"http://localhost:3000/a?b", b"/a?b"),
        (b"http://127.0.0.1:3000", b"/"),
        (b"http://localhost:3000//evil.example", b"/evil.example"),
        (b"http://localhost:4000/a", b"http://localhost:4000/a"),
        (b"https://other.example/a", b"https://other.example/a"),
        (b"/a", b"/a"),
        (b"http://[broken", b"http://[broken"),
        (b"https://LOCALHOST:3000/a#b", b"/a#b"),
        (b"//127.0.0.1:3000?a", b"/?a"),
        (b"http://[::1]:3000/", b"/"),
        (b"http://localhost:30001/a", b"http://localhost:30001/a"),
        (b"http://localhost:3000@evil.example/", b"http://localhost:3000@evil.example/"),
        (b"http://localhost/a", b"http://localhost/a"),
        (b"/in?next=http://localhost:3000/a", b"/in?next=http://localhost:3000/a"),
    ],
)
def test_where_a_redirection_leads(location, told):
    assert outbound([(b"Location", location)], 3000, is_changed=False) == [(b"location", told)]


def test_a_server_at_the_usual_port_need_not_name_it():
    assert outbound([(b"location", b"http://localhost/a")], 80, is_changed=False)[0][1] == b"/a"
    assert outbound([(b"location", b"https://localhost/a")], 443, is_changed=False)[0][1] == b"/a"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (b"Content-Location", b"http://localhost:3000/a", b"/a"),
        (b"Refresh", b"0; url=http://localhost:3000/a?b", b"0; url=/a?b"),
        (b"Refresh", b"5;URL='http://127.0.0.1:3000'", b"5;URL='/'"),
        (b"Refresh", b"5", b"5"),
        (
            b"Link",
            b"<http://localhost:3000/a.css>; rel=preload, <https://cdn.example/b.js>; rel=preload",
            b"</a.css>; rel=preload, <https://cdn.example/b.js>; rel=preload",
        ),
        (b"X-Url", b"http://localhost:3000/a", b"http://localhost:3000/a"),
    ],
)
def test_addresses_of_the_dev_server_in_other_headers_become_paths(name, value, told):
    assert outbound([(name, value)], 3000, is_changed=False) == [(name.lower(), told)]


@given(st.binary(), st.sampled_from([b"location", b"content-location", b"refresh", b"link"]))
def test_no_address_leads_to_another_host_than_before(value, name):
    [(_, told)] = outbound([(name, b"http://localhost:3000" + value)], 3000, is_changed=False)

    assert told.startswith(b"http://localhost:3000") or not told.startswith(b"//")


PUBLIC = (b"x-forwarded-host", b"h.preview.mesh.example")


@pytest.mark.parametrize(
    ("referer", "told"),
    [
        (b"https://h.preview.mesh.example/a?b", b"http://localhost:3000/a?b"),
        (b"https://h.preview.mesh.example", b"http://localhost:3000"),
        (b"https://mesh.example/", b"https://mesh.example/"),
        (b"nonsense", b"nonsense"),
    ],
)
def test_the_preview_s_address_as_a_referer_is_the_dev_server_s(referer, told):
    assert inbound([PUBLIC, (b"Referer", referer)], OWN) == [(b"referer", told)]


@pytest.mark.parametrize("name", [b"Forwarded", b"X-Forwarded-Port", b"Via", b"X-Real-IP"])
def test_the_dev_server_is_told_of_no_proxy(name):
    assert inbound([PUBLIC, (name, b"h.preview.mesh.example")], OWN) == []


def test_only_a_page_is_asked_for_uncompressed():
    packed = (b"accept-encoding", b"gzip, br")

    assert inbound([packed, (b"accept", b"*/*")], OWN)[0] == packed
    assert inbound([packed, (b"accept", b"text/html,*/*")], OWN)[0] == (packed[0], b"identity")


@pytest.mark.parametrize(
    ("method", "status", "kind", "gets_it"),
    [
        ("GET", 200, b"text/html", True),
        ("POST", 422, b"text/html; charset=utf-8", True),
        ("HEAD", 200, b"text/html", False),
        ("GET", 304, b"text/html", False),
        ("GET", 206, b"text/html", False),
        ("GET", 200, b"text/css", False),
    ],
)
def test_only_a_whole_page_gets_the_script(method, status, kind, gets_it):
    assert gets_script(method, status, [(b"content-type", kind)]) is gets_it


def test_what_compression_a_page_can_be_read_in():
    assert unpacker_of([]) is not None
    assert unpacker_of([(b"Content-Encoding", b"gzip")]) is not None
    assert unpacker_of([(b"content-encoding", b"br")]) is None


def test_the_length_of_a_changed_page_is_not_told():
    headers = [(b"content-length", b"9"), (b"etag", b"x"), (b"x", b"y")]

    assert outbound(headers, 1, is_changed=True) == [(b"x", b"y")]
    assert outbound(headers, 1, is_changed=False) == headers


def test_what_counts_as_a_page():
    assert is_html([(b"Content-Type", b"text/HTML; charset=utf-8")])
    assert not is_html([(b"content-type", b"text/plain"), (b"x", b"text/html")])


def test_a_waiting_page_says_text():
    page = waiting_page("<b>", "</p><script>alert(1)</script>", again_in=2).decode()

    assert "<script" not in page
    assert "&lt;b&gt;" in page
