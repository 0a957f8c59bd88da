"""Whom a token would let in."""

from __future__ import annotations

from mesh.models import User
from mesh.tokens import find_sign_in


def find_user_by_token(value: str) -> User | None:
    """Return the active person whose unexpired access token ``value`` is, or whose machine's."""
    found = find_sign_in(value)
    return found.user if found else None
