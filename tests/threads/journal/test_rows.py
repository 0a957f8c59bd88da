"""The rows of the journal: their SQL, their numbers, and the text that they store."""

import json
import re
from uuid import uuid4

import pytest

from mesh.selectors import NotFound
from threads import selectors
from threads.journal import rows
from threads.models import Event, Thread


def columns(statement):
    table, names = re.search(r"(?:INTO|COPY) (\w+) \(([^)]*)\)", statement).groups()
    return table, names.split(", ")


@pytest.mark.parametrize("statement", [rows._INSERT, rows._COPY], ids=["insert", "copy"])
def test_the_statement_names_the_table_s_columns(statement):
    known = [field.column for field in Event._meta.concrete_fields if not field.primary_key]

    table, names = columns(statement)
    assert table == Event._meta.db_table
    assert sorted(names) == sorted(known)


def test_both_name_them_in_one_order():
    assert columns(rows._INSERT) == columns(rows._COPY)


def test_each_column_has_its_value():
    assert rows._INSERT.count("%s") == len(columns(rows._INSERT)[1])


def test_numbers_follow_each_other(thread):
    for count in (1, 3, 2):
        rows.append(thread.pk, [rows.Draft({"type": "x"})] * count)

    assert [
        row.seq for row in selectors.list_events(thread_id=thread.pk, after=0, limit=9, size=9_999)
    ] == [*range(1, 7)]
    assert Thread.objects.get(pk=thread.pk).last_seq == 6


def test_no_drafts_change_nothing(thread):
    assert rows.append(thread.pk, []) == []
    assert Thread.objects.get(pk=thread.pk).last_seq == 0


def test_a_thread_that_was_purged_takes_no_rows(db):
    with pytest.raises(NotFound):
        rows.append(uuid4(), [rows.Draft({"type": "x"})])


def nested(depth):
    value = "deep"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        pytest.param("a\x00b", "a\ufffdb", id="a NUL"),
        pytest.param("a\ud800", "a\ufffd", id="half of a surrogate pair"),
        pytest.param({"\x00": 1}, {"\ufffd": 1}, id="a NUL in a key"),
        pytest.param([float("nan"), float("inf"), 1.5], [None, None, 1.5], id="no JSON numbers"),
        pytest.param("\\u0000", "\\u0000", id="a backslash before u0000"),
        pytest.param(nested(99), nested(99), id="just not too deep"),
    ],
)
def test_a_chunk_is_stored_as_any_reader_can_read_it(value, stored):
    assert json.loads(rows.encode({"value": value}))["value"] == stored


def test_what_is_nested_too_deep_is_replaced():
    text = rows.encode(nested(5_000))

    assert text.count("[") == rows.MAX_DEPTH
    assert "deep" not in text
