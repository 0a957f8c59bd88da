"""Which pictures of a request its provider refuses, read from the provider's words.

Seen in the field:

* Anthropic: ``messages.7.content.2.image.source.base64.data: At least one of the image dimensions
  exceed max allowed size: 8000 pixels``; ``Could not process image``, without a path; 413
  ``request_too_large``.
* OpenAI: ``Invalid 'input[0].content[1].image_url'…``, the path also as ``param``; codes such as
  ``invalid_image_format``; ``You uploaded an unsupported image``.
* Gemini: ``Unable to process input image``, ``Unsupported MIME type: image/gif``, ``Request payload
  size exceeds the limit``.
* Servers of models that see nothing: ``this model does not support image input``, 404 ``No
  endpoints found that support image input``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

_STATUSES: Final = frozenset({400, 404, 413, 415, 422})
_ABOUT_FILES: Final = re.compile(
    r"payload size|image|picture|photo|vision|multi-?modal|mime|media.?type|base64|inline_?data"
    r"|modalit",
    re.IGNORECASE,
)
_PATH: Final = re.compile(r"\b(?:messages|input|contents)\b[\w.\[\]]*")
_STEP: Final = re.compile(r"\w+")
_LEAST_STEPS: Final = 2  # "messages" and a number; a shorter path names all of them


def is_about_files(status: int | None, words: str) -> bool:
    """Return whether a provider refuses a request because of a file in it.

    ``words`` are all texts of the error. A request that is too large is too, where it has any.
    """
    return status in (413, 415) or (status in _STATUSES and bool(_ABOUT_FILES.search(words)))


def named_files(body: Any, words: str) -> list[str]:
    """Return the texts that may be pictures at the places in the request's ``body`` which the
    error's ``words`` name by their path; empty if they name none."""
    found: list[str] = []
    for path in _PATH.findall(words):
        node, depth = body, 0
        for step in _STEP.findall(path):
            below = _below(node, step)
            if below is None:
                break
            node, depth = below, depth + 1
        if depth >= _LEAST_STEPS:
            found += _texts(node)
    return found


def texts_of(error: Any) -> str:
    """Return all texts of an error's body, whatever its form."""
    return "\n".join(_texts(error))


def _below(node: Any, step: str) -> Any:
    if isinstance(node, list) and step.isdecimal() and step.isascii() and len(step) < 6:
        return node[int(step)] if int(step) < len(node) else None
    return node.get(step) if isinstance(node, dict) else None


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            yield from _texts(each)
