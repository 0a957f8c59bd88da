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
    BadOrganization,
    BadUserName,
    MayNotFound,
    NoSuchAccount,
    SlugReserved,
    SlugTaken,
    TooManyOrganizations,
    check_owner_name,
    found_organization,
    make_home,
    make_organization,
    make_owner,
    may_found,
)
from mesh.services.terminals import UnknownTerminalUse, choose_terminals
from mesh.services.tokens import MOST_TOKENS, make_token, revoke_issued_token

__all__ = [
    "MOST_TOKENS",
    "RESERVED_SLUGS",
    "AccountExists",
    "BadOrganization",
    "BadUserName",
    "LastOwner",
    "MayNotFound",
    "MemberInactive",
    "NoSuchAccount",
    "OwnsAlready",
    "SlugReserved",
    "SlugTaken",
    "TooManyOrganizations",
    "UnknownTerminalUse",
    "change_role",
    "check_owner_name",
    "choose_terminals",
    "end_membership",
    "found_organization",
    "hand_over",
    "make_home",
    "make_organization",
    "make_owner",
    "make_token",
    "may_found",
    "revoke_issued_token",
]
