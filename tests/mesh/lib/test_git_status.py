from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.git_status import Change, StatusReader, parse_status

FACTS = b"N... 100644 100644 100644 " + b"a" * 40 + b" " + b"b" * 40
OUTPUT = (
    b"# branch.oid abc\0# branch.head x\0# stash 2\0"
    + b"1 .M %s  first\0" % FACTS
    + b"2 R. %s R100 new name\0? old\0" % FACTS
    + b"u UU N... 1 2 3 4 h h h a\nb \0"
    + b"? caf\xe9\0? inner/\0! ignored\0x unknown\0"
)
CHANGES = (
    Change(" first", ".M"),
    Change("new name", "R."),
    Change("a\nb ", "UU"),
    Change("caf\udce9", "??"),
    Change("inner/", "??"),
)


def test_every_kind_of_line():
    status = parse_status(OUTPUT)

    assert (status.branch, status.head, status.changes) == ("x", "abc", CHANGES)
    assert [change.is_new for change in CHANGES] == [False, False, False, True, True]
    assert [change.is_folder for change in CHANGES] == [False, False, False, False, True]


@given(st.lists(st.integers(0, len(OUTPUT))))
def test_it_may_come_in_any_pieces(cuts):
    reader, found = StatusReader(), []
    places = [0, *sorted(cuts), len(OUTPUT)]

    for start, end in itertools.pairwise(places):
        found.extend(reader.feed(OUTPUT[start:end]))

    assert (reader.branch, reader.head, tuple(found)) == ("x", "abc", CHANGES)


def test_without_a_branch_and_before_the_first_commit():
    status = parse_status(b"# branch.oid (initial)\0# branch.head (detached)\0")

    assert (status.branch, status.head, status.changes) == ("", "", ())


@given(text=st.text(st.sampled_from("12u?# .\0abMAD"), max_size=60))
def test_any_output_is_read(text):
    parse_status(text.encode())
