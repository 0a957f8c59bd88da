"""Files attached to a message, as bytes or as text for the model."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote_to_bytes


def name_of(part: dict[str, Any]) -> str:
    """Return the file's name for people."""
    return str(part.get("filename") or "a file")


def media_type_of(part: dict[str, Any]) -> str:
    """Return the media type without its parameters, such as ``image/png``."""
    return str(part.get("mediaType", "")).partition(";")[0]


def read_data_url(url: str) -> bytes | None:
    """Return the content of a ``data:`` URL; ``None`` for any other URL."""
    head, comma, body = url.partition(",")
    if not head.startswith("data:") or not comma:
        return None
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        return None


def as_text(part: dict[str, Any]) -> str:
    """Return the file as text after its name, or a sentence that says why it can't be read."""
    name, data = name_of(part), read_data_url(str(part.get("url", "")))
    if data is None:
        return f"[{name} could not be read: it is not part of the message]"
    try:
        return f"{name}:\n\n{data.decode()}"
    except UnicodeDecodeError:
        return f"[{name} could not be read: {media_type_of(part) or 'its type'} is not supported]"
