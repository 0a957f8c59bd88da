"""The last bytes that a terminal wrote, numbered from its beginning."""

from __future__ import annotations


class Ring:
    """Keeps at most ``limit`` bytes, of which ``end`` counts all that ever came."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self.end = 0

    @property
    def first(self) -> int:
        """The number of the oldest byte that is kept."""
        return self.end - len(self._kept)

    def add(self, data: bytes) -> None:
        """Add bytes; the oldest ones are dropped when there are too many."""
        self._kept += data[-self._limit :]
        self.end += len(data)
        if (excess := len(self._kept) - self._limit) > 0:
            del self._kept[:excess]

    def read(self, after: int, most: int) -> tuple[int, bytes]:
        """Return bytes that come after the first ``after`` ones, and the number they begin at,
        which is greater than ``after`` if those between are no longer kept."""
        start = min(max(after, self.first), self.end)
        offset = start - self.first
        return start, bytes(self._kept[offset : offset + most])
