"""The name of a sandbox: the one function that everybody asks, so that names can't drift apart."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final
from uuid import UUID

HANDLE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
SLUG_LENGTH = 46  # with the dash and the hash 63, the longest label of a host name
HASH_LENGTH = 16  # a shorter one could be guessed where sandboxes have public names
# A branch of this form names a conversation; it is a key, never something to check out.
KEY_BRANCH: Final = re.compile(r"ephemeral|thread:.*", re.DOTALL)


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


def is_key(branch: str) -> bool:
    """Say whether ``branch`` is no branch at all, but the key of one conversation's folder."""
    return KEY_BRANCH.fullmatch(branch) is not None


def is_handle(value: object) -> bool:
    """Say whether ``value`` may name a sandbox: a label of a host name, and so of a folder."""
    return isinstance(value, str) and HANDLE.fullmatch(value) is not None


def _slug(branch: str) -> str:
    plain = unicodedata.normalize("NFKD", branch).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_LENGTH].strip("-") or "sandbox"
