"""The names that sandboxes and branches may have, for both ends.

It is here because the laptop's wheel does not contain ``sandboxes.core``
(``links/dist/wheel.py``).
"""

from __future__ import annotations

import re
from typing import Final

# A label of a host name, and so of a folder.
HANDLE: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
# A branch of this form is a conversation's key, never a branch to check out.
KEY_BRANCH: Final = re.compile(r"ephemeral|thread:.*", re.DOTALL)
# A file in a sandbox's folder: the link brought it back, and the person is still to be told. It
# contains the name of the worktree's branch if that could not be taken again.
RESTORED: Final = "restored"


def is_handle(value: object) -> bool:
    """Return whether ``value`` may name a sandbox."""
    return isinstance(value, str) and HANDLE.fullmatch(value) is not None


def is_key(branch: str) -> bool:
    """Return whether ``branch`` is not a branch but the key of a conversation's folder."""
    return KEY_BRANCH.fullmatch(branch) is not None
