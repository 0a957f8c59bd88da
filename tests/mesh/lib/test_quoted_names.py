from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.quoted_names import quote, quote_in_line, unquote


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param(b"src/app.py", "src/app.py", id="plain"),
        pytest.param("gr\u00fc\u00df.txt".encode(), "gr\u00fc\u00df.txt", id="UTF-8"),
        pytest.param(b" a\tb\nc\\d ", " a\tb\nc\\d ", id="spaces, control characters, backslash"),
        pytest.param(b'odd "name"', 'odd "name"', id="quotes inside"),
        pytest.param(b'"a"', r'"\"a\""', id="a quote first"),
        pytest.param(b"caf\xe9.txt", r'"caf\351.txt"', id="Latin-1"),
        pytest.param(b'\xc3\xa4/\xff\n"\\', '"\u00e4/' + r'\377\n\"\\"', id="both kinds"),
    ],
)
def test_a_name_that_is_not_utf_8_is_quoted_as_git_quotes_it(name, text):
    assert quote(os.fsdecode(name)) == text


@given(st.binary(min_size=1, max_size=12))
def test_a_name_in_a_list_of_lines_is_one_line_and_leads_back(name):
    text = quote_in_line(os.fsdecode(name))

    assert os.fsencode(unquote(text)) == name
    assert not set(text) & set("\n\r\t\x0b\x1b")


@given(st.lists(st.binary(min_size=1, max_size=12), min_size=2, max_size=2, unique=True))
def test_every_name_has_a_text_of_its_own_that_leads_back(names):
    texts = [quote(os.fsdecode(name)) for name in names]

    assert [os.fsencode(unquote(text.encode().decode())) for text in texts] == names
    assert texts[0] != texts[1]


@given(st.text(st.sampled_from('"\\351na\udce9\n'), max_size=12))
def test_any_text_is_read_or_refused(text):
    try:
        name = unquote(text)
    except ValueError:
        return
    assert unquote(quote(name)) == name


@pytest.mark.parametrize("text", ['"', '"a', '"a"b"', r'"\9"', r'"\400"', "\udce9", '"a\\"'])
def test_what_is_no_quoted_name(text):
    with pytest.raises(ValueError):
        unquote(text)
