"""Keys are written into a mesh.toml, and all else in it stays."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.daemon.setup.settings_text import CantRewrite, InvalidSettings, with_keys

COMMENTED = """# How our shop is shown.

include = [".env"]  # secrets
port = 3000  # of the old server

[other]
port = 1  # not ours
"""


def test_a_key_is_replaced_where_it_stands_and_keeps_its_comment():
    written = with_keys(COMMENTED, {"port": 4000})

    assert written == COMMENTED.replace("port = 3000", "port = 4000")


def test_a_new_key_comes_after_the_head_and_before_every_table():
    written = with_keys(COMMENTED, {"dev": ["npm", "run", "web"]})

    head = "# How our shop is shown.\n\n"
    assert written == COMMENTED.replace(head, f'{head}dev = ["npm", "run", "web"]\n')


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        pytest.param("", {"port": 1}, "port = 1\n", id="an empty file"),
        pytest.param("[a]\nb = 1", {"port": 2}, "port = 2\n[a]\nb = 1", id="only a table"),
        pytest.param("# a\n[b]\n", {"port": 2}, "port = 2\n# a\n[b]\n", id="a table's comment"),
        pytest.param("port=1", {"port": 2}, "port = 2", id="no line end"),
        pytest.param("a = 1\r\nport = 1\r\n", {"port": 2}, "a = 1\r\nport = 2\r\n", id="CRLF"),
        pytest.param("a = 1\r\n", {"port": 2}, "port = 2\r\na = 1\r\n", id="new, with CRLF"),
        pytest.param('"port" = 1\n', {"port": 2}, "port = 2\n", id="a quoted key"),
        pytest.param(
            'dev = [\n  "a", # first\n  "b",\n] # all\nport = 1\n',
            {"dev": ["c"]},
            'dev = ["c"] # all\nport = 1\n',
            id="a value of several lines",
        ),
        pytest.param(
            'a = """\nport = 1\n"""\nport = 2\n',
            {"port": 3},
            'a = """\nport = 1\n"""\nport = 3\n',
            id="one that only looks like it",
        ),
        pytest.param(
            'dev = ["#", "b"]#c\n', {"dev": ["#"]}, 'dev = ["#"]#c\n', id="a sign that begins none"
        ),
    ],
)
def test_what_is_written(before, changes, after):
    assert with_keys(before, changes) == after


@pytest.mark.parametrize("text", ["port = ", "port = 1\nport = 2", "\x00", "[a", "a" * 10])
def test_what_is_no_toml_is_refused(text):
    with pytest.raises(InvalidSettings):
        with_keys(text, {"port": 3})


@pytest.mark.parametrize("text", ["port.a = 1\n", "[port]\na = 1\n", "#" * 70_000])
def test_what_can_t_be_kept_is_refused(text):
    with pytest.raises(CantRewrite):
        with_keys(text, {"port": 3})


KEYS = st.sampled_from(["a", "b", "dev", "port", "include"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
LINES = st.one_of(
    st.builds("{} = {}".format, KEYS, st.integers(0, 9)),
    st.builds('{} = [ "x", # y\n"z" ]'.format, KEYS),
    st.builds("{} = '''\n# {}\nport = 2\n'''".format, KEYS, KEYS),
    st.builds("[{}]".format, KEYS),
    st.builds("# {}".format, KEYS),
    st.just(""),
)


@given(st.lists(LINES), st.sampled_from(["\n", "\r\n"]), st.lists(TEXTS, max_size=3))
def test_whatever_stands_there_stays(lines, line_end, dev):
    text = "\n".join(lines).replace("\n", line_end)
    try:
        written = with_keys(text, {"dev": dev, "port": 7})
    except (InvalidSettings, CantRewrite):
        return
    assert tomllib.loads(written) == tomllib.loads(text) | {"dev": dev, "port": 7}
    for line in lines:
        if line.startswith("# "):
            assert line in written
