"""The files a person may attach to a message, read from their bytes: names and headers lie."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from threads.core.pictures import is_picture, name_with_suffix, read_picture

# Bytes of a picture as it is uploaded; it is stored with at most ``pictures.BYTES``.
IMAGE_LIMIT: Final = 9 * 1024 * 1024
TEXT_LIMIT: Final = 256 * 1024  # bytes: all of it goes into the model's context
MOST: Final = 10  # files per message
# Bytes of all files of one message: an older link program takes them in one request, as base64.
ALL_LIMIT: Final = 15 * 1024 * 1024
NAME_LIMIT: Final = 200

TEXT: Final = "text/plain"
IMAGE, WORDS = "image", "text"  # as ``takes`` of the catalog names them

# The only control characters of a text are tab, line feed, form feed, carriage return and escape.
_NOT_TEXT: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_NOT_A_NAME: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_ADDRESS: Final = re.compile(r"/api/[-\w]+/decopilot/files/([0-9a-f-]{36})")


class Unsupported(Exception):
    """The bytes are neither a picture nor a text."""


class TooLarge(Exception):
    """The file has more bytes than one of its sort may have."""


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is stored: a ``Picture``, or a text with neither size in pixels nor note."""

    name: str
    data: bytes
    media_type: str
    width: int | None = None
    height: int | None = None
    note: str = ""


def read_file(name: object, data: bytes) -> File:
    """Return the file as it is stored and sent to agents, whatever it is called.

    All text is plain text, including markup, so a browser never renders it as a page.

    Raises:
        Unsupported, TooLarge.
        BadPicture: it is a picture that no model could see; see ``read_picture``.
    """
    if is_picture(data):
        if len(data) > IMAGE_LIMIT:
            raise TooLarge
        picture = read_picture(data)
        suffixed = name_with_suffix(name_of(name), picture.media_type)
        size = picture.width, picture.height
        return File(suffixed, picture.data, picture.media_type, *size, picture.note)
    if not _is_text(data):
        raise Unsupported
    if len(data) > TEXT_LIMIT:
        raise TooLarge
    return File(name_of(name), data, TEXT)


def _is_text(data: bytes) -> bool:
    try:
        return not _NOT_TEXT.search(data.decode())
    except UnicodeDecodeError:
        return False


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
