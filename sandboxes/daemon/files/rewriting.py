"""The new bytes of a file that is edited or written anew. Pure.

Its encoding, its byte order mark and its line ends stay, or the answer says that they don't.
"""

from __future__ import annotations

from typing import Any, Final

from sandboxes.daemon.files import replacing
from sandboxes.daemon.files.encodings import Encoding, Text, encoding_for, line_ends
from sandboxes.daemon.files.errors import (
    Ambiguous,
    EncodingUnknown,
    FileTooLarge,
    NothingToReplace,
    NotInEncoding,
)

MOST_SIZE: Final = 64 * 1024 * 1024  # characters of a file that an edit makes
MOST_LINES: Final = 10  # that a refusal names
MOST_CHARACTERS: Final = 5


def edited(text: Text, old: str, new: str, *, everywhere: bool) -> tuple[Text, int]:
    """Return the text with ``new`` instead of ``old``, and how often it was replaced.

    Raises:
        NothingToReplace, Ambiguous: ``old`` occurs nowhere, or more than once.
        NotInEncoding, EncodingUnknown: ``new`` can't be written in the file's encoding.
        FileTooLarge: it occurs too often, or the file would become too large.
    """
    if text.encoding.mark and old.startswith("\ufeff"):  # the mark is no character of the text
        old, new = old.removeprefix("\ufeff"), new.removeprefix("\ufeff")
    if not text.encoding.is_known and not (old.isascii() and new.isascii()):
        raise _unknown(text.encoding)
    # Of places that overlap, nobody could say which one is meant.
    places = replacing.find(text.text, old, overlapping=not everywhere) if old else []
    if not places:
        raise NothingToReplace(_why_nothing(text, old))
    if len(places) > 1 and not everywhere:
        raise Ambiguous(_where(text.text, places), count=min(len(places), replacing.MOST_PLACES))
    if len(places) > replacing.MOST_PLACES:
        raise FileTooLarge(f"old_string occurs more than {replacing.MOST_PLACES} times.")
    if len(text.text) + len(places) * len(new) > MOST_SIZE:
        raise FileTooLarge("The file would become too large.")
    changes = replacing.changes(text.text, places, old, new)
    if not text.encoding.is_known:
        _check_whole_characters(text, changes)
    try:
        after = text.spliced((each.start, each.end, each.new) for each in changes)
    except UnicodeEncodeError as exc:
        raise _not_in(text.encoding, new) from exc
    return after, len(places)


def rewritten(before: Text | None, content: str, *, named: str) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of a file that is written anew, and what it keeps and changes.

    ``before`` is the text that it had, if it had one; ``named`` the codec that the caller wants.

    Raises:
        NotInEncoding: ``content`` has characters that the file's encoding doesn't.
    """
    if before is None or not before.raw:
        encoding = encoding_for(named or "utf-8")
        return encoding.mark + _encode(encoding, content), {}
    facts: dict[str, Any] = {}
    changed: list[str] = []
    encoding = _kept_encoding(before.encoding, content, named)
    if encoding.title != before.encoding.title:
        changed.append(f"its encoding, from {before.encoding.title} to {encoding.title}")
    elif encoding.is_known and not encoding.is_usual:
        facts["encoding"] = encoding.title
    own, given = before.line_ends, line_ends(content)
    if own in ("CRLF", "CR") and given == "LF":
        content = content.replace("\n", replacing.ENDS[own])
        facts["lineEnds"] = own
    elif own and given and own != given:
        changed.append(f"its line ends, from {own} to {given}")
    if changed:
        facts["changed"] = changed
    mark = encoding.mark
    if mark:
        content = content.removeprefix("\ufeff")
    return mark + _encode(encoding, content), facts


def _kept_encoding(own: Encoding, content: str, named: str) -> Encoding:
    if named:
        return own if named == own.codec else encoding_for(named)
    if own.is_known:
        return own
    # Without a character beyond ASCII it fits any of those that it may be in.
    return own if content.isascii() else Encoding()


def _encode(encoding: Encoding, content: str) -> bytes:
    try:
        return encoding.encode(content)
    except UnicodeEncodeError as exc:
        raise _not_in(encoding, content) from exc


def _not_in(encoding: Encoding, text: str) -> NotInEncoding:
    missing = []
    for char in dict.fromkeys(text):
        try:
            encoding.encode(char)
        except UnicodeEncodeError:
            missing.append(f"“{char}” (U+{ord(char):04X})")
            if len(missing) == MOST_CHARACTERS:
                break
    return NotInEncoding(
        f"The file is {encoding.title}, which can't hold {', '.join(missing)}.",
        encoding=encoding.title,
    )


def _unknown(encoding: Encoding) -> EncodingUnknown:
    maybe = f" It may be {' or '.join(encoding.maybe[:4])}." if encoding.rivals else ""
    return EncodingUnknown(f"{EncodingUnknown.text}{maybe}", encodingMaybe=encoding.maybe)


def _check_whole_characters(text: Text, changes: list[replacing.Change]) -> None:
    """Raise unless each change begins and ends between two characters, whatever the encoding:
    the second byte of a character may be an ASCII letter."""
    edges = [edge for each in changes for edge in (each.start, each.end)]
    for rival in text.encoding.rivals:
        try:
            for start, end in zip([0, *edges], edges, strict=False):
                text.raw[start:end].decode(rival)
        except UnicodeDecodeError as exc:
            raise _unknown(text.encoding) from exc


def _why_nothing(text: Text, old: str) -> str:
    from sandboxes.daemon.files import mismatch  # most edits find their place

    kind = text.line_ends or "LF"
    why = mismatch.explain(replacing.unified(text.text, kind), replacing.unified(old, kind))
    return f"{NothingToReplace.text} {why}".rstrip()


def _where(text: str, places: list[replacing.Place]) -> str:
    lines = [replacing.line_of(text, place.start) for place in places[:MOST_LINES]]
    named = ", ".join(str(line) for line in dict.fromkeys(lines))
    more = ", …" if len(places) > MOST_LINES else ""
    word = "lines" if "," in named or more else "line"
    times = f"{len(places)} times" if len(places) <= replacing.MOST_PLACES else "too often"
    return f"old_string occurs {times}: {word} {named}{more}."
