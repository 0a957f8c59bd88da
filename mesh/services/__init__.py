"""All writes to people, organizations and the tokens that are made by hand."""

from mesh.services.members import (
    LastOwner,
    MemberInactive,
    OwnsAlready,
    change_role,
    end_membership,
    hand_over,
)
from mesh.services.people import (
    RESERVED_SLUGS,
    AccountExists,
    BadUserName,
    NoSuchAccount,
    SlugReserved,
    check_owner_name,
    make_home,
    make_organization,
    make_owner,
)
from mesh.services.tokens import make_token, revoke_issued_token

__all__ = [
    "RESERVED_SLUGS",
    "AccountExists",
    "BadUserName",
    "LastOwner",
    "MemberInactive",
    "NoSuchAccount",
    "OwnsAlready",
    "SlugReserved",
    "change_role",
    "check_owner_name",
    "end_membership",
    "hand_over",
    "make_home",
    "make_organization",
    "make_owner",
    "make_token",
    "revoke_issued_token",
]
