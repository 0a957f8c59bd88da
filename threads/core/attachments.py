"""The files a person may attach to a message, judged by their bytes: names and headers lie."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

IMAGE_LIMIT: Final = 5 * 1024 * 1024  # bytes: the models' APIs accept no larger picture
TEXT_LIMIT: Final = 256 * 1024  # bytes: all of it goes into the model's context
MOST: Final = 10  # files per message
# Bytes of all files of one message: an older link program takes them in one request, as base64.
ALL_LIMIT: Final = 15 * 1024 * 1024
NAME_LIMIT: Final = 200

TEXT: Final = "text/plain"
IMAGE, WORDS = "image", "text"  # as ``takes`` of the catalog names them

_SIGNATURES: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
)
# The only control characters of a text are tab, line feed, form feed, carriage return and escape.
_NOT_TEXT: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_NOT_A_NAME: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_ADDRESS: Final = re.compile(r"/api/[-\w]+/decopilot/files/([0-9a-f-]{36})")


def media_type_of(data: bytes) -> str:
    """Return the media type of ``data``: a picture's, ``text/plain``, or empty if unknown.

    All text is plain text, including markup, so a browser never renders it as a page.
    """
    for signature, media_type in _SIGNATURES:
        if signature.match(data):
            return media_type
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    return "" if _NOT_TEXT.search(text) else TEXT


def limit_of(media_type: str) -> int:
    """Return how many bytes a file of this type may have."""
    return TEXT_LIMIT if media_type == TEXT else IMAGE_LIMIT


def sort_of(media_type: str) -> str:
    """Return the catalog's word for this type, as in an agent's ``takes``."""
    return IMAGE if media_type.startswith("image/") else WORDS


def name_of(value: object) -> str:
    """Return a file's name without its folders and without control and bidi characters."""
    name = value if isinstance(value, str) else ""
    last = re.split(r"[/\\]", _NOT_A_NAME.sub("", name))[-1].strip()
    return last[:NAME_LIMIT] or "file"


def id_in(url: object) -> UUID | None:
    """Return the id of the stored file that ``url`` names; ``None`` if it names none."""
    found = _ADDRESS.fullmatch(url) if isinstance(url, str) else None
    try:
        return UUID(found[1]) if found else None
    except ValueError:
        return None


def files_of(parts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the parts that are files."""
    return [part for part in parts if part.get("type") == "file"]
