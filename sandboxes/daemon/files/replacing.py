"""Finds a text in a file's text across their line ends, and replaces it with the file's own.

Pure. A line feed of the caller stands for whatever ends the file's lines. Everything else has to
stand there exactly: a place that only resembles the wanted one is never changed (``mismatch`` says
where it is).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from sandboxes.daemon.files.encodings import line_ends

MOST_PLACES: Final = 100_000
NEAR: Final = 64 * 1024  # characters in which another line's end is looked for
ENDS: Final = {"LF": "\n", "CRLF": "\r\n", "CR": "\r", "": "\n"}


@dataclass(frozen=True, slots=True)
class Change:
    """The characters of a text from ``start`` to ``end``, and what comes instead of them."""

    start: int
    end: int
    new: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the wanted text stands."""

    start: int
    end: int


def unified(text: str, kind: str) -> str:
    """Return ``text`` with its line ends as line feeds, as they count in a file of that kind."""
    if not kind:
        return text
    text = text.replace("\r\n", "\n")
    return text.replace("\r", "\n") if kind == "CR" else text


def find(text: str, old: str, *, overlapping: bool = False) -> list[Place]:
    """Return the places of ``old``; more than ``MOST_PLACES`` are not looked for.

    Line feeds match all line ends. Where ``old`` has carriage returns of its own, its exact places
    count first. The end that the last line lacks may be in ``old``.
    """
    step = 1 if overlapping else len(old)
    if "\r" in old and (exact := _found(text, old, step)):
        return exact
    kind = line_ends(text)
    flat, wanted = unified(text, kind), unified(old, kind)
    places = _found(flat, wanted, step)
    if not places and wanted.endswith("\n") and not flat.endswith("\n"):
        rest = wanted[:-1]
        places = [Place(len(flat) - len(rest), len(flat))] if rest and flat.endswith(rest) else []
    return places if len(flat) == len(text) else _with_pairs(text, places)


def line_of(text: str, place: int) -> int:
    """Return the number of the line, from 1, with the character at ``place``."""
    end = "\r" if line_ends(text) == "CR" else "\n"
    return text.count(end, 0, place) + 1


def changes(text: str, places: list[Place], old: str, new: str) -> list[Change]:
    """Return how ``text`` has to change, so that ``new`` stands at each place instead of ``old``.

    Only what differs between the two is changed, with the line ends of that place: the lines of
    ``old`` that stay keep theirs, also in a file with several kinds. If nothing but the line ends
    differs, they are meant.
    """
    kind = line_ends(text)
    before, after = unified(old, kind), unified(new, kind)
    if unified(old, "LF") == unified(new, "LF"):
        return [Change(place.start, place.end, new) for place in places]
    return [_change(text, kind, place, before, after) for place in places]


def _found(text: str, old: str, step: int) -> list[Place]:
    places: list[Place] = []
    at = text.find(old)
    while at >= 0 and len(places) <= MOST_PLACES:
        places.append(Place(at, at + len(old)))
        at = text.find(old, at + step)
    return places


def _with_pairs(text: str, places: list[Place]) -> list[Place]:
    """Return where the places are, which were counted with one character for each CR LF."""
    pairs = [found.start() - count for count, found in enumerate(re.finditer("\r\n", text))]

    def moved(at: int) -> int:
        return at + bisect_left(pairs, at)

    return [Place(moved(place.start), moved(place.end)) for place in places]


def _change(text: str, kind: str, place: Place, before: str, after: str) -> Change:
    stands = re.findall(r"(?s)\r\n|.", text[place.start : place.end])
    if len(stands) < len(before):  # the file's last line has no end, so the new one gets none
        before, after = before[:-1], after.removesuffix("\n")
    first = _common(before, after)
    last = _common(before[first:][::-1], after[first:][::-1])
    start = place.start + len("".join(stands[:first]))
    end = place.end - len("".join(stands[len(stands) - last :]))
    new = after[first : len(after) - last]
    return Change(start, end, new.replace("\n", _end_at(text, kind, place)) if "\n" in new else new)


def _common(one: str, other: str) -> int:
    """Return how many characters both begin with."""
    most = min(len(one), len(other))
    if one[:most] == other[:most]:
        return most
    low, high = 0, most  # the first difference lies in between
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle)
    return low


def _end_at(text: str, kind: str, place: Place) -> str:
    """Return the line end used at a place: in it, else behind it, else before it."""
    if kind != "mixed":
        return ENDS[kind]
    at = text.find("\n", place.start, place.end + NEAR)
    if at < 0:
        at = text.rfind("\n", max(0, place.start - NEAR), place.start)
    return "\r\n" if at > 0 and text[at - 1] == "\r" else "\n"
