"""The pages' one stylesheet: a file for each component, joined into one request.

Its address contains its hash, so browsers may cache it without limit; there is no build step.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders

# In the order of the cascade.
PIECES = (
    "tokens",
    "base",
    "entrance",
    "shell",
    "dialog",
    "threads",
    "messages",
    "markdown",
    "tools",
    "terminal",
    "progress",
    "cards",
    "queue",
    "composer",
    "files",
    "agents",
    "desks",
    "settings",
    "agent_pages",
    "members",
    "preview",
)


@dataclass(frozen=True, slots=True)
class Stylesheet:
    """The joined text, plain and compressed, and the hash that names it."""

    digest: str
    plain: bytes
    packed: bytes


def current() -> Stylesheet:
    """Return the stylesheet; with DEBUG, it is read again each time."""
    if settings.DEBUG:
        _read.cache_clear()
    return _read()


@lru_cache(maxsize=1)
def _read() -> Stylesheet:
    plain = b"\n".join(_piece(name) for name in PIECES)
    digest = hashlib.sha256(plain).hexdigest()[:16]
    return Stylesheet(digest, plain, gzip.compress(plain, mtime=0))


def _piece(name: str) -> bytes:
    path = finders.find(f"mesh/css/{name}.css")
    if path is None:
        raise FileNotFoundError(f"mesh/css/{name}.css")
    return Path(path).read_bytes()
