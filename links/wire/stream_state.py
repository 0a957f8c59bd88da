"""What may be said next in one direction of a stream: the table that both ends obey.

A stream is two directions. The opener's begins with OPEN, the answerer's with HEAD; each goes on
with its body and is over after END. RESET voids both, at any time. CREDIT belongs to the
direction of the bytes it allows, so it needs no row.
"""

from __future__ import annotations

from typing import Final

from links.wire.frames import DATA, END, HEAD, OPEN, PART, TEXT

AWAITS_OPEN: Final = "awaits_open"
AWAITS_HEAD: Final = "awaits_head"
BODY: Final = "body"
ENDED: Final = "ended"

NEXT: Final[dict[tuple[str, int], str]] = {
    (AWAITS_OPEN, OPEN): BODY,
    (AWAITS_HEAD, HEAD): BODY,
    (BODY, DATA): BODY,
    (BODY, TEXT): BODY,
    (BODY, PART): BODY,
    (BODY, END): ENDED,
}
