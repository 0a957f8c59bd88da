"""The state machine of one direction of a stream: which frame may follow, at both ends.

A stream has two directions. The opener's starts with OPEN, the answerer's with HEAD; each
continues with its body and ends with END. RESET aborts both, at any time. CREDIT belongs to the
direction of the bytes that it grants, so it needs no row.
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
