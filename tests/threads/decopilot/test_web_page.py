"""The text of a page: any bytes, with any label, within limits."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threads.decopilot.web_page import plain_text, text_of

PAGE = "<p>Grüße</p>"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(PAGE.encode("latin-1"), "text/html; charset=iso-8859-1", id="named"),
        pytest.param(PAGE.encode("cp1252"), 'text/html; Charset = "latin1"', id="quoted"),
        pytest.param(PAGE.encode("utf-16"), "text/html; charset=utf-8", id="a mark over a label"),
        pytest.param(
            b"<meta charset='windows-1252'>" + PAGE.encode("cp1252"), "text/html", id="meta"
        ),
        pytest.param(
            b'<meta http-equiv=content-type content="text/html; charset=latin1">'
            + PAGE.encode("latin-1"),
            "text/html; charset=none",
            id="meta under an unknown label",
        ),
        pytest.param(PAGE.encode(), "text/html; charset=none", id="unknown"),
        pytest.param(PAGE.encode(), "text/html; charset=base64", id="no charset"),
        pytest.param(PAGE.encode(), "text/html; charset=punycode", id="one of Python's own"),
        pytest.param(PAGE.encode(), "text/html; charset=", id="empty"),
        pytest.param(PAGE.encode(), 'text/html; charset="', id="a quote"),
        pytest.param(PAGE.encode(), "text/html; charset*=utf-8'en'", id="extended"),
        pytest.param(
            b"<meta charset=utf-16>" + PAGE.encode(), "text/html", id="meta that can't be"
        ),
        pytest.param(b"Gr\xfc\xdfe", "text/plain; charset=latin1", id="plain"),
    ],
)
def test_a_page_is_decoded_as_browsers_do(body, content_type):
    assert text_of(body, content_type) == "Grüße"


def test_a_wrong_label_costs_only_the_letters_that_it_gets_wrong():
    assert text_of(b"<p>Gr\xfc\xdfe x", "text/html; charset=utf-8") == "Gr��e x"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        pytest.param("<![foo[ x ]]><p>Hi", "Hi", id="an unknown declaration"),
        pytest.param("<head><meta charset=utf-8><body><p>Hi", "Hi", id="no end of the head"),
        pytest.param("<head><style>x</style><p>Hi", "Hi", id="neither head's end nor body"),
        pytest.param("<title>T</title><p>Hi", "T\n\nHi", id="title"),
        pytest.param("<p>One</b></i></p><p>Two</div>", "One\n\nTwo", id="ends of nothing"),
        pytest.param("<p>Hi<b", "Hi", id="a tag that does not end"),
        pytest.param("<p>Hi<!-- x", "Hi", id="a comment that does not end"),
        pytest.param("<p>a&lt;b&#xD800;&#0;&none;", "a<b��&none;", id="references"),
        pytest.param("<p>x</p><script>evil()</script>", "x", id="script"),
        pytest.param("<p>x</p><script>evil()", "x", id="a script that does not end"),
        pytest.param("<template><p>x</p></template>y", "y", id="template"),
        pytest.param("<li><a href=https://x>l</a>", "- l (https://x)", id="link"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_broken_html_is_read_as_far_as_it_goes(html, text):
    assert plain_text(html) == text


@pytest.mark.parametrize(
    "piece",
    ["<div>", "<b>", "<table><tr><td>", "<svg><p>", "<a ", "<", "<!--", "&amp", "<script>", "<b a"],
)
def test_much_of_the_same_is_read_in_bounded_time(piece):
    """The time limit of a page is five seconds: none of these comes near it."""
    html = "<p>First</p>" + piece * 100_000

    assert plain_text(html).startswith("First")


def test_the_time_of_a_page_is_limited(monkeypatch):
    monkeypatch.setattr("threads.decopilot.web_page.READING_LIMIT", -1)
    text = plain_text("<p>First</p>" + "<p>x</p>" * 10_000)

    assert text.startswith("First")
    assert text.count("x") < 10_000


LABELS = st.one_of(
    st.sampled_from(["", "; charset=utf-16", "; charset=shift_jis", "; charset=iso-2022-jp"]),
    st.text(max_size=30).map(lambda label: f"; charset={label}"),
)
PIECES = st.sampled_from(
    [b"<meta charset=", b"<", b">", b"</p>", b"<![", b"<!--", b"&#", b"\x00", b"\xff\xfe", b"'"]
)


@settings(max_examples=50)
@given(
    body=st.lists(st.one_of(st.binary(max_size=40), PIECES), max_size=20).map(b"".join),
    label=LABELS,
    kind=st.sampled_from(["text/html", "text/plain", "application/xhtml+xml"]),
)
def test_any_bytes_under_any_label_give_text_of_bounded_length(body, label, kind):
    text = text_of(body, kind + label)

    assert len(text) <= 20 * len(body) + 20
    assert text.encode() or not text  # no half of a surrogate pair


def test_the_parser_is_loaded_by_the_first_page_only():
    code = "import sys, threads.decopilot.web_page; sys.exit('lxml' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
