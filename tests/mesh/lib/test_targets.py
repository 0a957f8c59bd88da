"""Which request targets are passed on to a laptop."""

from __future__ import annotations

import posixpath
from urllib.parse import quote, unquote

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mesh.lib.targets import (
    LONGEST,
    BadTarget,
    TargetTooLong,
    checked_target,
    has_dot_segments,
    target_from,
)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/", id="root"),
        pytest.param("/@fs/home/ada/app/main.js", id="a file outside the root, as Vite names it"),
        pytest.param("/@id/__x00__virtual:module", id="a virtual module"),
        pytest.param("/.vite/deps/x.js?v=1f", id="a hidden folder"),
        pytest.param("/a..b", id="dots inside a name"),
        pytest.param("/..a/b..", id="dots at an end of a name"),
        pytest.param("/...", id="three dots"),
        pytest.param("/a/.../b", id="three dots between"),
        pytest.param("/a%2Fb", id="an encoded slash"),
        pytest.param("/foo/%2e%2efoo", id="encoded dots of a name"),
        pytest.param("/a%20b", id="a space"),
        pytest.param("/%E2%9C%93/gr%C3%BC%C3%9Fe", id="unicode"),
        pytest.param("//a//b//", id="empty segments"),
        pytest.param("/a;v=1/b;..c", id="parameters"),
        pytest.param("/a?../..=%2e%2e/../\\..;#"[:-1], id="anything in a query"),
        pytest.param("/[id]/|x|/{y}/~z", id="marks"),
        pytest.param("/100%", id="a percent sign by itself"),
        pytest.param("/a.", id="a dot at the end of a name"),
    ],
)
def test_what_dev_servers_are_asked_for_passes_as_it_is(target):
    assert checked_target(target) == target


DOTTED = [
    pytest.param("/..", id="raw"),
    pytest.param("/a/../b", id="between"),
    pytest.param("/a/./b", id="one dot"),
    pytest.param("/a/.", id="one dot at the end"),
    pytest.param("/%2e%2e/b", id="encoded"),
    pytest.param("/%2E./b", id="half encoded"),
    pytest.param("/%252e%252e/b", id="encoded twice"),
    pytest.param("/%25252e./b", id="encoded three times"),
    pytest.param("/a%2f..%2fb", id="encoded slashes"),
    pytest.param("/a%252f..%252fb", id="slashes encoded twice"),
    pytest.param("/a\\..\\b", id="backslashes"),
    pytest.param("/a%5c..%5cb", id="encoded backslashes"),
    pytest.param("/a\\../b", id="mixed slashes"),
    pytest.param("/..;/b", id="empty parameters"),
    pytest.param("/..;x=1/b", id="parameters"),
    pytest.param("/..%3bx/b", id="encoded parameters"),
    pytest.param("/..%3Fx", id="an encoded query"),
    pytest.param("/..%23x", id="an encoded fragment"),
    pytest.param("/%20../b", id="a space beside"),
    pytest.param("/.%09./b", id="a tab between"),
    pytest.param("/..%00/b", id="a NUL beside"),
    pytest.param("/../?x=1", id="before a query"),
]


@pytest.mark.parametrize("target", DOTTED)
def test_dot_segments_are_refused_however_they_are_written(target):
    with pytest.raises(BadTarget) as refused:
        checked_target(target)

    assert (refused.value.status, refused.value.code) == (400, "bad_target")


@pytest.mark.parametrize(
    "target",
    [
        "",
        "a",
        "*",
        "http://other/x",
        "/a b",
        "/a\r\nx: y",
        "/a\t",
        "/a\x7f",
        "/a#b",
        "/a?b#c",
        "/é",
    ],
)
def test_what_is_no_target_is_refused(target):
    with pytest.raises(BadTarget):
        checked_target(target)


def test_a_target_has_a_limit():
    at_most = "/" + "a" * (LONGEST - 1)

    assert checked_target(at_most) == at_most
    with pytest.raises(TargetTooLong):
        checked_target(at_most + "a")


pieces = st.sampled_from(
    ["/", ".", "..", "%2e", "%2E", "%252e", "\\", "%2f", "%5C", ";", "a", "%", "%25", " ", "%00"]
)
paths = st.lists(pieces, max_size=12).map(lambda given: "/" + "".join(given))
anything = st.text(max_size=40).map(lambda text: f"/{text}")


@given(path=paths | anything, prefix=st.sampled_from(["/_sandbox/h/preview", "/links/1/to"]))
def test_no_reading_of_what_passes_leaves_its_prefix(path, prefix):
    target = prefix + path
    try:
        checked_target(target)
    except BadTarget:
        return
    once, twice = unquote(target), unquote(unquote(target))
    for read in (target, once, twice, once.replace("\\", "/"), twice.replace("\\", "/")):
        assert posixpath.normpath(read).startswith(prefix)


@given(path=paths | anything)
def test_an_http_client_keeps_the_path_of_what_passes(path):
    target = f"/prefix{path.partition('?')[0]}"
    assume(target.isascii() and target.isprintable())
    try:
        checked_target(target)
    except BadTarget:
        return
    built = httpx.URL(f"http://x{target}").raw_path.decode()
    assert unquote(built) == unquote(target)


@given(name=st.text(min_size=1, max_size=20))
def test_a_quoted_name_passes_unless_it_stands_for_a_folder(name):
    quoted = quote(name, safe="", errors="replace")

    if not has_dot_segments(quoted):
        assert checked_target(f"/exec/{quoted}") == f"/exec/{quoted}"


@given(path=paths)
def test_encoding_once_more_makes_no_difference(path):
    assert has_dot_segments(path) == has_dot_segments(quote(path, safe="/"))


@given(path=st.binary(max_size=30), query=st.binary(max_size=30))
def test_what_is_not_ascii_goes_encoded(path, query):
    told = target_from(b"/" + path, query)

    assert told.isascii()
    if path.isascii() and b"?" not in path and not query:
        assert told.encode() == b"/" + path
