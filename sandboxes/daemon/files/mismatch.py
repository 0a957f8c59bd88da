"""Says why a text does not stand in a file: what resembles it, where, and how the two differ.

A model copies what it has read by eye: it writes a space for a no-break space, a straight quote
for a curly one, and loses an indentation. Told where, it needs one more call instead of five.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_LINES: Final = 5  # that a sentence names
MOST_SIZE: Final = 512 * 1024  # characters of a text that is compared
_SPACES: Final = dict.fromkeys([0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " ")
_UNSEEN: Final = dict.fromkeys(
    [0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF]
)
_QUOTES: Final = {
    **dict.fromkeys(map(ord, "“”„‟«»″"), '"'),
    **dict.fromkeys(map(ord, "‘’‚‛′´"), "'"),
    **dict.fromkeys(map(ord, "‐‑‒–—―−"), "-"),
    ord("…"): "...",
}
_NUMBERED: Final = re.compile(r"^ *\d+(?:\t|→)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Fold:
    """A difference that is overlooked: ``apply`` makes both texts alike in it."""

    says: str
    apply: Callable[[str], str]


def _blanks(text: str) -> str:
    """Return the text with one space for all blanks in a row, and none at a line's two ends."""
    text = re.sub(r"[ \t]+", " ", text)
    return re.sub(r"^ | $", "", text, flags=re.MULTILINE)


# In this order: each works on what those before it have left.
_FOLDS: Final = (
    _Fold("letters composed otherwise", lambda text: unicodedata.normalize("NFC", text)),
    _Fold("invisible characters", lambda text: text.translate(_UNSEEN)),
    _Fold("no-break or other special spaces", lambda text: text.translate(_SPACES)),
    _Fold("other quotes or dashes", lambda text: text.translate(_QUOTES)),
    _Fold("other blanks", _blanks),
    _Fold("other upper and lower case", str.lower),
)


def explain(text: str, old: str) -> str:
    """Return a sentence for a file's text in which ``old`` does not stand, or nothing.

    Both have line feeds as line ends.
    """
    if len(text) > MOST_SIZE or len(old) > MOST_SIZE:
        return ""
    bare = _NUMBERED.sub("", old)
    if bare != old and bare.strip() and bare in text:
        return "old_string has the line numbers that read shows. Leave them out."
    return _resembling(text, old) or _begun(text, old)


def _resembling(text: str, old: str) -> str:
    if not (lines := _places(text, old, _FOLDS)):
        return ""
    needed: tuple[_Fold, ...] = _FOLDS
    for fold in _FOLDS:
        fewer = tuple(each for each in needed if each is not fold)
        if _places(text, old, fewer):
            needed = fewer
    lines = _places(text, old, needed)
    said = " and with ".join(fold.says for fold in needed)
    return f"It stands there with {said} at {_at(lines)}.{_difference(text, old, lines[0], needed)}"


def _places(text: str, old: str, folds: tuple[_Fold, ...]) -> list[int]:
    """Return the numbers of the lines where ``old`` stands if the differences are overlooked."""
    for fold in folds:
        text, old = fold.apply(text), fold.apply(old)
    if not old.strip():
        return []
    found: list[int] = []
    at, line, before = text.find(old), 1, 0
    while at >= 0 and len(found) <= MOST_LINES:
        line += text.count("\n", before, at)
        found.append(line)
        before, at = at, text.find(old, at + 1)
    return found


def _at(lines: list[int]) -> str:
    named = [str(line) for line in dict.fromkeys(lines)][:MOST_LINES]
    if len(named) == 1:
        return f"line {named[0]}"
    more = " and more" if len(lines) > MOST_LINES else ""
    return f"lines {', '.join(named)}{more}"


def _difference(text: str, old: str, line: int, folds: tuple[_Fold, ...]) -> str:
    """Return which character differs first, where it is one that looks the same."""
    if not any(fold in _FOLDS[:4] for fold in folds):
        return ""
    count = old.count("\n") + 1
    there = "\n".join(text.split("\n")[line - 1 : line - 1 + count])
    known = set(old)
    for char in there:
        if char >= "\x80" and char not in known:
            return f" The file has {_named(char)}."
    for char in old:
        if char >= "\x80" and char not in there:
            return f" The file does not have {_named(char)}."
    return ""


def _named(char: str) -> str:
    return f"U+{ord(char):04X} ({unicodedata.name(char, 'no name').lower()})"


def _begun(text: str, old: str) -> str:
    """Return where the beginning of ``old`` stands, if it does in one place only."""
    wanted = old.removesuffix("\n").split("\n")
    if len(wanted) < 2 or not wanted[0].strip():
        return ""
    lines = text.split("\n")
    starts = [at for at, line in enumerate(lines) if line.rstrip() == wanted[0].rstrip()]
    if len(starts) != 1:
        return ""
    for offset, line in enumerate(wanted):
        at = starts[0] + offset
        if at >= len(lines):
            return f"It begins at line {starts[0] + 1}, but the file ends before it does."
        if lines[at] != line:
            return f"It begins at line {starts[0] + 1}, but line {at + 1} differs."
    return ""
