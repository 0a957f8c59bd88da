"""The output of a running tool, published from time to time while it grows."""

from __future__ import annotations

# Characters: a preliminary output has only the end; the whole comes with the result.
TAIL_LIMIT = 4_000


class GrowingOutput:
    """Collects output, and decides when to publish it again.

    Each publication replaces the one before, so publishing every piece would make the journal
    grow with the square of the output. It is published again when a quarter of it is new: all
    publications together take a small multiple of the output.
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
        """Add a piece; return the text to publish now, or ``None``."""
        self._pieces.append(piece)
        self._tail = (self._tail + piece)[-TAIL_LIMIT:]
        self._length += len(piece)
        return self._show()

    def replace(self, whole: str) -> str | None:
        """Set the whole output so far, for a program that does not send pieces."""
        self._pieces, self._tail, self._length = [whole], whole[-TAIL_LIMIT:], len(whole)
        return self._show()

    def _show(self) -> str | None:
        if self._length - self._shown_at < max(len(self._tail) // 4, 1):
            return None
        self._shown_at = self._length
        return self._tail if self._length <= TAIL_LIMIT else f"…{self._tail}"
