"""The memory of used nonces: bounded, and fed only from verified requests."""

from __future__ import annotations

from typing import Final

from links.wire.errors import TooManyRequests

# A request dated 30 s ahead is valid for 61 s; 90 leaves no gap.
KEEP: Final = 90.0
LIMIT: Final = 200_000  # per generation: 2,200 requests per second throughout


class Nonces:
    """Remembers each nonce for at least ``keep`` seconds, in two generations.

    Dropping a whole generation costs nothing per nonce; a nonce is kept for up to twice as long.
    When the younger generation is full, requests are refused and nothing is forgotten early:
    otherwise an attacker could make it forget by adding load.
    """

    def __init__(self, *, keep: float = KEEP, limit: int = LIMIT) -> None:
        self._keep = keep
        self._limit = limit
        self._younger: set[str] = set()
        self._older: set[str] = set()
        self._rotated_at: float | None = None

    def __len__(self) -> int:
        return len(self._younger) + len(self._older)

    def add(self, nonce: str, *, now: float) -> bool:
        """Remember ``nonce``; return whether it is new.

        Raises:
            TooManyRequests: it is new, but the memory is full.
        """
        self._rotate(now)
        if nonce in self._younger or nonce in self._older:
            return False
        if len(self._younger) >= self._limit:
            raise TooManyRequests
        self._younger.add(nonce)
        return True

    def _rotate(self, now: float) -> None:
        if self._rotated_at is None:
            self._rotated_at = now
        age = now - self._rotated_at
        if age < self._keep:  # also if the clock was set back: keep longer, never shorter
            return
        # After two idle periods even the younger generation is old enough to drop.
        self._older = self._younger if age < 2 * self._keep else set()
        self._younger = set()
        self._rotated_at = now
