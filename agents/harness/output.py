"""The output of a running tool, shown now and then while it grows."""

from __future__ import annotations

# A reader of a running tool looks at its end; the whole comes with the result.
SHOWN = 4_000


class GrowingOutput:
    """Collects output, and says when it is time to show it again.

    Each showing replaces the one before, so showing every piece would make the journal grow
    with the square of the output. It is shown again when a quarter of what is shown is new:
    all showings together take a small multiple of the output.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._tail = ""
        self._length = 0
        self._shown_at = 0

    @property
    def whole(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> str | None:
        """Add a piece; return what is to be shown now, or ``None``."""
        self._pieces.append(piece)
        self._tail = (self._tail + piece)[-SHOWN:]
        self._length += len(piece)
        return self._show()

    def replace(self, whole: str) -> str | None:
        """Take the whole output so far, from a program that tells no pieces."""
        self._pieces, self._tail, self._length = [whole], whole[-SHOWN:], len(whole)
        return self._show()

    def _show(self) -> str | None:
        if self._length - self._shown_at < max(len(self._tail) // 4, 1):
            return None
        self._shown_at = self._length
        return self._tail if self._length <= SHOWN else f"…{self._tail}"
