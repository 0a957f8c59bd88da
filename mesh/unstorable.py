"""Text that a database query can't contain; only outside senders produce it."""

from __future__ import annotations

from django.db import DataError


def is_unstorable(exc: Exception) -> bool:
    """Return whether a query failed because a text in it holds a NUL or half a surrogate pair."""
    is_nul = isinstance(exc, (DataError, ValueError)) and "NUL" in str(exc)
    return is_nul or isinstance(exc, UnicodeEncodeError)
