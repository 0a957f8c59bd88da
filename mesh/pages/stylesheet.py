"""The pages' stylesheet: a file for each component, joined into one request.

The work panel's is a second one, fetched when the panel is first opened. An address contains a
hash, so browsers may cache it without limit; there is no build step.
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
)
# Of the work panel, which most pages never open.
PANEL_PIECES = (
    "panel",
    "panel_files",
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
    return _fresh(PIECES)


def of_panel() -> Stylesheet:
    """Return the work panel's stylesheet; with DEBUG, it is read again each time."""
    return _fresh(PANEL_PIECES)


def _fresh(pieces: tuple[str, ...]) -> Stylesheet:
    if settings.DEBUG:
        _read.cache_clear()
    return _read(pieces)


@lru_cache(maxsize=2)
def _read(pieces: tuple[str, ...]) -> Stylesheet:
    plain = b"\n".join(_piece(name) for name in pieces)
    digest = hashlib.sha256(plain).hexdigest()[:16]
    return Stylesheet(digest, plain, gzip.compress(plain, mtime=0))


def _piece(name: str) -> bytes:
    path = finders.find(f"mesh/css/{name}.css")
    if path is None:
        raise FileNotFoundError(f"mesh/css/{name}.css")
    return Path(path).read_bytes()
