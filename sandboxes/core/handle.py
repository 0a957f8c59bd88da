"""The handle of a sandbox, computed by this one function so that all parts agree on it."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from uuid import UUID

from links.wire.names import is_handle, is_key

__all__ = ["handle_for", "is_handle", "is_key", "parse_project_ref", "project_ref"]

SLUG_LENGTH = 46  # plus dash and hash: 63, the longest label of a host name
HASH_LENGTH = 16  # a shorter one could be guessed if sandboxes have public names


def handle_for(*, user_id: UUID | str | int, org_id: object, agent_id: object, branch: str) -> str:
    """Return ``<slug>-<hash>`` for a user's sandbox of an agent and a branch.

    The same four values always give the same handle; the hash covers all of them, the slug is for
    people.
    """
    # Each text with its length, so that different values never give the same bytes.
    parts = [str(part).encode() for part in (user_id, org_id, agent_id, branch)]
    digest = hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts))
    return f"{_slug(branch)}-{digest.hexdigest()[:HASH_LENGTH]}"


def project_ref(*, org_id: object, agent_id: object, branch: str) -> str:
    """Return the ``project_ref`` of a row; the branch is last, because it may contain colons."""
    return f"{org_id}:{agent_id}:{branch}"


def parse_project_ref(ref: str) -> tuple[str, str, str] | None:
    """Return organization, agent and branch of a ``project_ref``; ``None`` if it is malformed."""
    parts = ref.split(":", 2)
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None


def _slug(branch: str) -> str:
    plain = unicodedata.normalize("NFKD", branch).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_LENGTH].strip("-") or "sandbox"
