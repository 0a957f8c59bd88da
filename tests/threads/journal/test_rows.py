"""The journal's own SQL writes every column of its table."""

import re

import pytest

from threads.journal import rows
from threads.models import Event


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
