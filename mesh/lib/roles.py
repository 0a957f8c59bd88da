"""What each role of an organization's members may do.

=========  ====  =====  ======  ======  ===
Role       read  start  manage  people  own
=========  ====  =====  ======  ======  ===
owner      yes   yes    yes     yes     yes
admin      yes   yes    yes     yes     –
member     yes   yes    –       –       –
viewer     yes   –      –       –       –
=========  ====  =====  ======  ======  ===
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Permission(Enum):
    """Something that a role allows or not."""

    READ = "read"  # one's own chats, and what is shared with one
    START = "start"  # chats, messages, sandboxes: whatever makes something run
    MANAGE = "manage"  # agents, AI providers and their keys
    PEOPLE = "people"  # invite, change roles and remove people, up to one's own role
    OWN = "own"  # hand over ownership


# From the role that may do most to the one that may do least.
PERMISSIONS: Final[dict[str, frozenset[Permission]]] = {
    "owner": frozenset(Permission),
    "admin": frozenset({Permission.READ, Permission.START, Permission.MANAGE, Permission.PEOPLE}),
    "member": frozenset({Permission.READ, Permission.START}),
    "viewer": frozenset({Permission.READ}),
}
_RANKS: Final = {role: rank for rank, role in enumerate(reversed(PERMISSIONS))}


def may(role: str, permission: Permission) -> bool:
    """Return whether ``role`` has ``permission``; an unknown role has none."""
    return permission in PERMISSIONS.get(role, ())


def roles_with(permission: Permission) -> list[str]:
    """Return the roles that have ``permission``."""
    return [role for role, permissions in PERMISSIONS.items() if permission in permissions]


def may_give(giver: str, role: str) -> bool:
    """Return whether a member with the role ``giver`` may give ``role`` to somebody, and change or
    remove a member who has it. Nobody reaches above their own role."""
    is_known = giver in _RANKS and role in _RANKS
    return is_known and may(giver, Permission.PEOPLE) and _RANKS[role] <= _RANKS[giver]


def is_above(role: str, other: str) -> bool:
    """Return whether ``role`` may do more than ``other``; both must be known."""
    return _RANKS[role] > _RANKS[other]
