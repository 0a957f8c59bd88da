"""Reads rows of a plain ``pg_dump``, so that ``import_reference`` needs no PostgreSQL (ADR 14)."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator

Row = dict[str, str | None]

_COPY = re.compile(r"COPY (?:\"?\w+\"?\.)?\"?(?P<table>\w+)\"? \((?P<columns>.*)\) FROM stdin;")
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class BrokenDump(Exception):
    """The text is no plain dump, or ends in the middle; says at which line."""


def read_rows(lines: Iterable[str], *, tables: Container[str]) -> Iterator[tuple[str, Row]]:
    """Yield table and row, in the dump's order, of the COPY blocks of ``tables``.

    Raises:
        BrokenDump: a row has another number of columns than its block, or the block no end.
    """
    table = ""
    columns: list[str] = []
    number = 0
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\n")
        if not columns:
            if found := _COPY.fullmatch(line.rstrip("\r")):
                table = found["table"]
                columns = [name.strip().strip('"') for name in found["columns"].split(",")]
        elif line.rstrip("\r") == "\\.":
            columns = []
        elif table in tables:
            values = line.split("\t")
            if len(values) != len(columns):
                raise BrokenDump(f"Line {number}: {len(values)} values for {len(columns)} columns.")
            yield table, dict(zip(columns, map(_value, values), strict=True))
    if columns:
        raise BrokenDump(f"The dump ends at line {number}, in the middle of “{table}”.")


def _value(text: str) -> str | None:
    if text == "\\N":
        return None
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(found: re.Match[str]) -> str:
    octal, hexadecimal, letter = found.groups()
    if octal:
        return chr(int(octal, 8) & 0xFF)
    if hexadecimal:
        return chr(int(hexadecimal, 16))
    return _LETTERS.get(letter, letter)
