"""The name of a sandbox: the one function that everybody asks, so that names can't drift apart."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from uuid import UUID

from links.wire.names import is_handle, is_key

__all__ = ["handle_for", "is_handle", "is_key", "parse_project_ref", "project_ref"]

SLUG_LENGTH = 46  # with the dash and the hash 63, the longest label of a host name
HASH_LENGTH = 16  # a shorter one could be guessed where sandboxes have public names


def handle_for(*, user_id: UUID | str | int, org_id: object, agent_id: object, branch: str) -> str:
    """Return ``<slug>-<hash>`` for a user's sandbox of an agent and a branch.

    The same four always give the same name; the hash covers them all, the slug is for people.
    """
    # Length before text: no two different four run into the same bytes.
    parts = [str(part).encode() for part in (user_id, org_id, agent_id, branch)]
    digest = hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts))
    return f"{_slug(branch)}-{digest.hexdigest()[:HASH_LENGTH]}"


def project_ref(*, org_id: object, agent_id: object, branch: str) -> str:
    """Return how a sandbox's row names what it is of; the branch last, for it may have any form."""
    return f"{org_id}:{agent_id}:{branch}"


def parse_project_ref(ref: str) -> tuple[str, str, str] | None:
    """Return organization, agent and branch of what ``project_ref`` gave; ``None`` of another
    text."""
    parts = ref.split(":", 2)
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None


def _slug(branch: str) -> str:
    plain = unicodedata.normalize("NFKD", branch).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_LENGTH].strip("-") or "sandbox"
