"""The credential behind an open connection, and whether it is still valid.

A request is checked when it starts. A stream or a socket may outlive a sign-out, a new password or
a revoked token, so its credential is checked again and again (``mesh.connection_checks``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from allauth.idp.oidc.models import Token
from cryptography.fernet import InvalidToken
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from mesh import keys
from mesh.lib.roles import Permission, roles_with
from mesh.models import Membership, User
from mesh.tokens import SignIn


@dataclass(frozen=True, slots=True)
class Credential:
    """A person, and the token or the browser session that they signed in with; never both.

    One without either is never valid.
    """

    user_id: int
    token_id: int = 0
    session_key: str = ""

    def sealed(self) -> str:
        """Return it as text that does not reveal the session's key."""
        if self.token_id:
            return f"token:{self.token_id}"
        return f"session:{keys.seal(self.session_key)}"


def unseal(text: str, *, user_id: int) -> Credential | None:
    """Return the credential that ``sealed`` wrote; ``None`` if it can no longer be read."""
    kind, _, value = text.partition(":")
    if kind == "token" and value.isascii() and value.isdecimal() and len(value) < 19:
        return Credential(user_id, token_id=int(value))
    if kind != "session":
        return None
    try:
        return Credential(user_id, session_key=keys.unseal(value))
    except InvalidToken:  # its encryption key was retired
        return None


def credential_of(user: User, *, sign_in: object, session: Any) -> Credential:
    """Return the credential of ``user``: their token if ``sign_in`` is one, else the session."""
    if isinstance(sign_in, SignIn):
        return Credential(user.pk, token_id=sign_in.token_id)
    return Credential(user.pk, session_key=getattr(session, "session_key", None) or "")


def find_good(credentials: Collection[Credential]) -> set[Credential]:
    """Return those that are still valid; at most three queries.

    The token is valid, or the session exists, has not expired and was opened with the person's
    current password; and the person is active.
    """
    by_token = [one for one in credentials if one.token_id]
    by_session = [one for one in credentials if one.session_key and not one.token_id]
    return _good_tokens(by_token) | _good_sessions(by_session)


def find_starters(pairs: Collection[tuple[int, Any]]) -> set[tuple[int, Any]]:
    """Return those pairs of a person's and an organization's id where the person is a member who
    may start something."""
    users, organizations = {user for user, _ in pairs}, {org for _, org in pairs}
    found = Membership.objects.filter(user__pk__among=users, organization__pk__among=organizations)
    found = found.filter(role__in=roles_with(Permission.START))
    return set(found.values_list("user_id", "organization_id")) & set(pairs)


def _good_tokens(credentials: list[Credential]) -> set[Credential]:
    if not credentials:
        return set()
    rows = Token.objects.valid().filter(
        pk__among={one.token_id for one in credentials}, user__is_active=True
    )
    good = set(rows.values_list("pk", "user_id"))
    return {one for one in credentials if (one.token_id, one.user_id) in good}


def _good_sessions(credentials: list[Credential]) -> set[Credential]:
    if not credentials:
        return set()
    by_key: defaultdict[str, list[Credential]] = defaultdict(list)
    for one in credentials:
        by_key[one.session_key].append(one)
    rows = Session.objects.filter(pk__among=by_key, expire_date__gt=timezone.now())
    opened = {row.pk: row.get_decoded() for row in rows}
    users = _active(one.user_id for one in credentials)
    return {
        one
        for key, data in opened.items()
        for one in by_key[key]
        if one.user_id in users and _is_of(data, users[one.user_id])
    }


def _active(ids: Iterable[int]) -> dict[int, User]:
    users = User.objects.filter(pk__among=set(ids), is_active=True).only("pk", "password")
    return {user.pk: user for user in users}


def _is_of(data: dict[str, Any], user: User) -> bool:
    """Return whether a session is the person's, opened with their current password."""
    if data.get(SESSION_KEY) != str(user.pk):
        return False
    stored = str(data.get(HASH_SESSION_KEY, ""))
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(stored, each) for each in hashes)
