"""What sandboxes and branches may be called, for both ends.

Here, because the laptop's programs come without ``sandboxes.core`` (``links/dist/wheel.py``).
"""

from __future__ import annotations

import re
from typing import Final

# A label of a host name, and so of a folder.
HANDLE: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
# A branch of this form names a conversation; it is a key, never something to check out.
KEY_BRANCH: Final = re.compile(r"ephemeral|thread:.*", re.DOTALL)


def is_handle(value: object) -> bool:
    """Say whether ``value`` may name a sandbox."""
    return isinstance(value, str) and HANDLE.fullmatch(value) is not None


def is_key(branch: str) -> bool:
    """Say whether ``branch`` is no branch at all, but the key of one conversation's folder."""
    return KEY_BRANCH.fullmatch(branch) is not None
