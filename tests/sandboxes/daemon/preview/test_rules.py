"""The preview's pure rules."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.daemon.preview.rules import Inserter, inbound, is_html, outbound, waiting_page

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
    assert b"host" not in dict(inbound(headers, 3000))
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
    ],
)
def test_where_a_redirection_leads(location, told):
    assert outbound([(b"Location", location)], 3000, is_changed=False) == [(b"location", told)]


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
