"""The memory of nonces that were used: bounded, and fed only with proven ones."""

from __future__ import annotations

from typing import Final

from links.wire.errors import TooManyRequests

# A request dated 30 s ahead is good for 61 s; 90 leaves no gap.
KEEP: Final = 90.0
LIMIT: Final = 200_000  # in one generation: 2,200 requests a second for as long as it lasts


class Nonces:
    """Remembers each nonce for at least ``keep`` seconds, in two generations.

    Dropping a whole generation at once costs nothing per nonce; one is kept for up to twice
    the time. When the younger generation is full, requests are refused and nothing is
    forgotten early: a memory that forgets under load can be made to forget.
    """

    def __init__(self, *, keep: float = KEEP, limit: int = LIMIT) -> None:
        self._keep = keep
        self._limit = limit
        self._younger: set[str] = set()
        self._older: set[str] = set()
        self._turned_at: float | None = None

    def __len__(self) -> int:
        return len(self._younger) + len(self._older)

    def add(self, nonce: str, *, now: float) -> bool:
        """Remember ``nonce``; return whether it is new.

        Raises:
            TooManyRequests: it is new, but there is no room.
        """
        self._turn(now)
        if nonce in self._younger or nonce in self._older:
            return False
        if len(self._younger) >= self._limit:
            raise TooManyRequests
        self._younger.add(nonce)
        return True

    def _turn(self, now: float) -> None:
        if self._turned_at is None:
            self._turned_at = now
        age = now - self._turned_at
        if age < self._keep:  # also when the clock was set back: keep longer, never shorter
            return
        # After two idle periods even the younger generation is old enough to go.
        self._older = self._younger if age < 2 * self._keep else set()
        self._younger = set()
        self._turned_at = now
