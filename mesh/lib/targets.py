"""Which request targets (a path, and perhaps ``?`` and a query) are passed on to a laptop.

A request passes several programs: an HTTP client, the link, the sandbox, a dev server. Each may
read an address in its own way: take dot segments out, decode once more, take a backslash for a
slash. What one program allowed would then be something else to the next. So a target is passed on
only if every reading of it stays below the path it was given.

How a path is judged. It is decoded from percent-encoding until nothing changes, however often it
was encoded. A backslash then counts as a slash. Of each segment, what begins with ``;``, ``?`` or
``#`` is left out (parameters, or the end of a path that was encoded), and so are spaces and
control characters. The target is refused if what is left is ``.`` or ``..``, and also if it does
not begin with a slash or holds a space, a control character or ``#`` as it stands.

A target that passes is changed in nothing: neither ``//`` nor ``%2F`` nor any name with dots in
it. What stands behind the first ``?`` is the query, which nobody takes for a path: it is not
judged.
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
    text = "The address holds a “.” or “..” segment, or a character that no address may hold."
    hint = "Ask for the path itself, without such segments."


class TargetTooLong(AppError):
    code = "uri_too_long"
    text = "The address is longer than 32 KiB."
    hint = "Send what is long in the body."
    status = 414


def checked_target(target: str) -> str:
    """Return ``target`` as it is.

    Raises:
        BadTarget: a program on the way could read it as another one.
        TargetTooLong: it has more than ``LONGEST`` characters.
    """
    if len(target) > LONGEST:
        raise TargetTooLong
    if not _SENDABLE.fullmatch(target) or has_dot_segments(target.partition("?")[0]):
        raise BadTarget
    return target


def has_dot_segments(path: str) -> bool:
    """Say whether any reading of ``path`` has a segment ``.`` or ``..``."""
    if "." not in path and "%" not in path:
        return False
    segments = _decoded(path).replace("\\", "/").split("/")
    return any(_UNSEEN.sub("", _REST.sub("", one)) in _DOTS for one in segments)


def target_from(path: bytes, query: bytes) -> str:
    """Return the target that a server took apart, with what is not ASCII percent-encoded."""
    # Some servers leave the query in the raw path of a WebSocket.
    whole = path.partition(b"?")[0] + (b"?" + query if query else b"")
    return quote(whole, safe=_ASCII)


def _decoded(path: str) -> str:
    """Return ``path`` decoded until nothing changes; each round makes it shorter."""
    while (plain := unquote(path, encoding="latin-1")) != path:
        path = plain
    return path
