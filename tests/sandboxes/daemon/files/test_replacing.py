"""An edit changes what it names, across line ends and encodings, and not one byte beside it."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sandboxes.daemon.files import replacing
from sandboxes.daemon.files.encodings import Encoding, Text, lines_of, read_text
from sandboxes.daemon.files.errors import Ambiguous, EncodingUnknown, FileTooLarge, NothingToReplace
from sandboxes.daemon.files.rewriting import edited


def edit(before, old, new, *, everywhere=False):
    """Return what a text becomes."""
    text, _ = edited(read_text(before.encode()), old, new, everywhere=everywhere)
    return text.raw.decode()


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        pytest.param("a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\n", "x\r\ny\r\nc\r\n", id="CRLF"),
        pytest.param("a\r\nb\r\n", "b", "b\nc", "a\r\nb\r\nc\r\n", id="new lines, CRLF"),
        pytest.param("a\rb\rc", "b\nc", "x\ny", "a\rx\ry", id="CR"),
        pytest.param("a\nb\r\nc\nd\n", "b\nc\nd", "b\nx\nd", "a\nb\r\nx\nd\n", id="mixed"),
        pytest.param("a\r\nb\nc\n", "a\nb\n", "a\nx\nb\n", "a\r\nx\r\nb\nc\n", id="mixed, more"),
        pytest.param("a\nb\n", "a\r\nb", "x\r\ny", "x\ny\n", id="LF, asked with CRLF"),
        pytest.param("a\r\nlast", "last", "last\nmore", "a\r\nlast\r\nmore", id="no end, CRLF"),
        pytest.param("a\nlast", "last\n", "more\n", "a\nmore", id="the end that is missing"),
        pytest.param("a\nlast", "\nlast\n", "", "a", id="the last line, with that end"),
        pytest.param("one", "one", "a\r\nb", "a\r\nb", id="no line end to go by"),
        pytest.param("5%\r9%\nx\r\n", "5%\r9%", "1%\r2%", "1%\r2%\nx\r\n", id="CR in a line"),
        pytest.param("a\r\nb\r\n", "a\r\nb", "a\nb", "a\nb\r\n", id="the line end is meant"),
        pytest.param("a\r\n", "a", "a", None, id="nothing to change"),
    ],
)
def test_line_ends_stay(before, old, new, after):
    if after is not None:
        assert edit(before, old, new) == after


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        pytest.param("a\r\na\r\n", "\r\n", "\n", "a\na\n", id="CRLF to LF"),
        pytest.param("a\na\r\n", "\n", "\r\n", "a\r\na\r\n", id="mixed to CRLF"),
        pytest.param("a\n\na\r\n\n", "a\n", "b\n", "b\n\nb\r\n\n", id="each its own"),
    ],
)
def test_everywhere(before, old, new, after):
    assert edit(before, old, new, everywhere=True) == after


def test_places_that_read_the_same_are_ambiguous_whatever_their_line_ends():
    with pytest.raises(Ambiguous, match=r"occurs 2 times: lines 1, 3\."):
        edit("a\nb\na\r\nb\n", "a\nb", "x")


def test_places_that_overlap_are_two():
    with pytest.raises(Ambiguous):
        edit("one two one two one", "one two one", "x")


@pytest.mark.parametrize("old", ["a b", "é", '"x"', "A", "a\nb", " a"])
def test_what_only_resembles_it_is_not_changed(old):
    with pytest.raises(NothingToReplace):
        edit("a\u00a0b\ne\u0301\n“x”\na\n\nb\n", old, "z")


ENDS = st.sampled_from(["\n", "\r\n", "\r"])
WORDS = st.text(st.sampled_from("ab ü日\u00a0\t"), min_size=1, max_size=6)
CODECS = ["utf-8", "utf-16-le", "utf-16-be", "cp932", "gb18030", "iso8859-1", "koi8-r"]


@st.composite
def texts(draw):
    """A text in some encoding, each line with some end, the last perhaps without."""
    uniform = draw(st.booleans())
    end = draw(ENDS)
    others = ENDS if not uniform else st.just(end)
    parts = [word + draw(others) for word in draw(st.lists(WORDS, min_size=1, max_size=6))]
    parts += draw(st.lists(WORDS, max_size=1))
    codec = draw(st.sampled_from(CODECS))
    marks = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE}
    mark = marks.get(codec, b"") if draw(st.booleans()) else b""
    encoding = Encoding(codec, mark)
    content = "".join(parts).encode(codec, "ignore").decode(codec)
    assume(content)
    return Text(mark + content.encode(codec), content, encoding)


def is_once(text, old):
    return len(replacing.find(text.text, old, overlapping=True)) == 1


@given(texts(), st.data())
def test_an_edit_of_what_was_read_changes_nothing_else(text, data):
    lines = lines_of(text.text)
    assume(lines)
    first = data.draw(st.integers(0, len(lines) - 1))
    last = data.draw(st.integers(first, len(lines) - 1))
    old = "\n".join(lines[first : last + 1])
    assume(old and is_once(text, old))

    changed, _ = edited(text, old, "<new>", everywhere=False)

    at = replacing.find(text.text, old)[0]
    before, after = text.text[: at.start], text.text[at.end :]
    start = text.encoding.mark + before.encode(text.encoding.codec)
    assert changed.raw == b"".join(
        [start, "<new>".encode(text.encoding.codec), after.encode(text.encoding.codec)]
    )
    assert text.raw.startswith(start)


@given(texts(), st.data(), st.text(st.sampled_from("xy\n"), min_size=1, max_size=5))
def test_an_edit_can_be_taken_back(text, data, new):
    assume(text.line_ends != "mixed")
    old = data.draw(st.sampled_from(lines_of(text.text) or ["?"]))
    assume(old and old != new and is_once(text, old))
    changed, _ = edited(text, old, new, everywhere=False)
    assume(is_once(changed, new) and text.line_ends)

    again, _ = edited(changed, new, old, everywhere=False)

    assert again.raw == text.raw
    assert changed.line_ends in (text.line_ends, "")


def test_half_a_character_is_no_place():
    """In Shift-JIS the second byte of 83 41 is an A."""
    text = read_text(b"\x83\x41 = \xd6\xd0\n")
    assert not text.encoding.is_known

    with pytest.raises(EncodingUnknown):
        edited(text, "A", "B", everywhere=False)


def test_an_edit_that_would_fill_the_memory_is_refused():
    with pytest.raises(FileTooLarge):
        edit("a" * 50_000, "a", "b" * 10_000, everywhere=True)
    with pytest.raises(FileTooLarge):
        edit("a" * 200_000, "a", "b", everywhere=True)
