"""The first title of a thread, taken from the start of its first message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

LIMIT = 60
_MARKS = re.compile(r"^[#>\-*`\s]+|[`*]+")
# Of a pair that turns text around and back, a title may have the first one only.
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def text_of(parts: Iterable[Mapping[str, Any]]) -> str:
    """Return the text of a message: its text parts, joined by line breaks."""
    return "\n".join(str(part.get("text", "")) for part in parts if part.get("type") == "text")


def title_of(text: str) -> str:
    """Return the first line of ``text`` that is not blank, shortened for a list."""
    for line in text.splitlines():
        line = " ".join(_MARKS.sub("", _TURNS.sub("", line)).split())
        if not line:
            continue
        if len(line) <= LIMIT:
            return line
        cut = line[: LIMIT - 1]
        whole = cut.rsplit(" ", 1)[0] if " " in cut[LIMIT // 2 :] else cut
        return whole.rstrip(" ,.;:") + "…"
    return ""


def title_from(parts: Iterable[Mapping[str, Any]]) -> str:
    """Return a message's title: from its text, else from the name of its first file."""
    parts = list(parts)
    names = (str(part.get("filename", "")) for part in parts if part.get("type") == "file")
    return title_of(text_of(parts)) or title_of(next(names, ""))
