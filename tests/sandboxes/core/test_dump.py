"""A plain dump of PostgreSQL, read row by row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.core.dump import BrokenDump, read_rows

DUMP = r"""--
-- PostgreSQL database dump
--
SET statement_timeout = 0;
COPY public.threads (id, title, "order") FROM stdin;
t1	a\tb\\c\nd	\N
t2		x
\.

COPY public.other (id) FROM stdin;
o1
\.
COPY "threads" (id) FROM stdin;
t3
\.
"""


def rows(text, tables=("threads",)):
    return list(read_rows(text.splitlines(keepends=True), tables=tables))


def test_rows_of_the_tables_that_are_wanted():
    assert rows(DUMP) == [
        ("threads", {"id": "t1", "title": "a\tb\\c\nd", "order": None}),
        ("threads", {"id": "t2", "title": "", "order": "x"}),
        ("threads", {"id": "t3"}),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("COPY public.threads (id) FROM stdin;\nt1\n", "in the middle"),
        ("COPY public.threads (id, a) FROM stdin;\nt1\n\\.\n", "1 values for 2"),
    ],
)
def test_a_broken_dump_says_where(text, said):
    with pytest.raises(BrokenDump, match=said):
        rows(text)


def test_what_is_no_dump_has_no_rows():
    assert rows("hello\nCOPY nonsense\n") == []


def escaped(text):
    for character, code in {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}.items():
        text = text.replace(character, code)
    return text


@given(values=st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=20), min_size=1))
def test_what_postgres_writes_is_read_back(values):
    columns = [f"c{n}" for n in range(len(values))]
    line = "\t".join("\\N" if value is None else escaped(value) for value in values)
    text = [f"COPY public.threads ({', '.join(columns)}) FROM stdin;\n", line + "\n", "\\.\n"]

    assert list(read_rows(text, tables={"threads"})) == [
        ("threads", dict(zip(columns, values, strict=True)))
    ]
