"""Which request targets (a path, and perhaps ``?`` and a query) are passed on to a laptop.

A request passes through several programs: an HTTP client, the link, the sandbox, a dev server. Each
may read an address in its own way: remove dot segments, decode it again, treat a backslash as a
slash. What one program allowed would then mean something else to the next. So a target is passed
on only if every reading of it stays below its path.

How a path is checked: it is percent-decoded until nothing changes, however often it was encoded.
A backslash then counts as a slash. In each segment, everything from the first ``;``, ``?`` or
``#`` is ignored (parameters, or the end of an encoded path), and so are spaces and control
characters. The target is refused if the rest of a segment is ``.`` or ``..``, and also if it does
not begin with a slash or contains an unencoded space, control character or ``#``.

A target that passes is not changed at all: neither ``//`` nor ``%2F`` nor a name with dots.
Everything after the first ``?`` is the query, which no program reads as a path: it is not checked.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

from mesh.lib.errors import AppError

LONGEST: Final = 32 * 1024  # characters; a frame of the tunnel takes twice as much
_DOTS: Final = frozenset({".", ".."})
_SENDABLE: Final = re.compile(r"/[\x21\x22\x24-\x7e]*")  # printable ASCII without "#"
_REST: Final = re.compile(r"[;?#].*", re.DOTALL)
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f]+")
_ASCII: Final = "".join(map(chr, range(0x80)))


class BadTarget(AppError):
    """The address could be read in two ways."""

    code = "bad_target"
    text = "The address contains a “.” or “..” segment, or a character that is not allowed."
    hint = "Request the path itself, without such segments or characters."


class TargetTooLong(AppError):
    code = "uri_too_long"
    text = "The address is longer than 32 KiB."
    hint = "Send long values in the body instead."
    status = 414


def checked_target(target: str) -> str:
    """Return ``target`` unchanged.

    Raises:
        BadTarget: a program on the way could read it as a different target.
        TargetTooLong: it has more than ``LONGEST`` characters.
    """
    if len(target) > LONGEST:
        raise TargetTooLong
    if not _SENDABLE.fullmatch(target) or has_dot_segments(target.partition("?")[0]):
        raise BadTarget
    return target


def has_dot_segments(path: str) -> bool:
    """Return whether any reading of ``path`` has a segment ``.`` or ``..``."""
    if "." not in path and "%" not in path:
        return False
    segments = _decoded(path).replace("\\", "/").split("/")
    return any(_UNSEEN.sub("", _REST.sub("", one)) in _DOTS for one in segments)


def target_from(path: bytes, query: bytes) -> str:
    """Return the target that a server split, with non-ASCII bytes percent-encoded."""
    # Some servers leave the query in the raw path of a WebSocket.
    whole = path.partition(b"?")[0] + (b"?" + query if query else b"")
    return quote(whole, safe=_ASCII)


def _decoded(path: str) -> str:
    """Return ``path`` decoded until nothing changes; each round makes it shorter."""
    while (plain := unquote(path, encoding="latin-1")) != path:
        path = plain
    return path
