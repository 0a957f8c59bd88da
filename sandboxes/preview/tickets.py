"""Access to previews: a ticket, valid once and for a minute, becomes a cookie of its origin.

Both are signed and contain the sandbox, its owner and the sign-in that opened it. Whether the
sign-in is still valid and the person may still see the sandbox is checked in the database.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.core import signing
from django.utils import timezone

from agents.models import Agent
from agents.selectors import find_shared
from mesh.connection_checks import Right
from mesh.credentials import Credential, find_good, unseal
from mesh.lib.errors import AppError
from mesh.lib.roles import Permission, roles_with
from mesh.single_use import use_once
from sandboxes.core.kinds import KINDS
from sandboxes.places import place_for
from sandboxes.providers.base import Place

TICKET_LIVES: Final = 60  # seconds
REMEMBERED: Final = timedelta(seconds=2 * TICKET_LIVES)  # servers' clocks may differ
COOKIE_LIVES: Final = 12 * 60 * 60
_TICKET, _COOKIE = "mesh.preview.ticket", "mesh.preview.cookie"


class TicketUsed(AppError):
    code = "bad_ticket"
    text = "This link to the preview was already used or has expired."
    hint = "Open the preview from Mesh again."
    status = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A person's access to one sandbox, at its handle's origin."""

    handle: str
    user_id: int
    agent_id: str
    branch: str
    kind: str
    sign_in: str  # the session or token that it was made with, sealed: the grant ends with it
    link_id: str = ""


def make_ticket(grant: Grant) -> str:
    """Return a ticket for ``grant``."""
    return signing.dumps({**asdict(grant), "nonce": secrets.token_urlsafe(12)}, salt=_TICKET)


def use_ticket(ticket: str, *, handle: str) -> str:
    """Redeem a ticket; return the cookie for it.

    Raises:
        TicketUsed: it was used, has expired, is for another origin, or is not a ticket.
    """
    given = _read(ticket, salt=_TICKET, max_age=TICKET_LIVES)
    nonce = str(given.pop("nonce", ""))
    grant = _grant(given)
    if grant is None or grant.handle != handle or not nonce:
        raise TicketUsed
    # Of concurrent requests with the same ticket, only one succeeds.
    if not use_once("preview ticket", nonce, expires_at=timezone.now() + REMEMBERED):
        raise TicketUsed
    return signing.dumps(asdict(grant), salt=_COOKIE, compress=True)


def read_cookie(cookie: str, *, handle: str) -> Grant | None:
    """Return the grant of a cookie at the origin of ``handle``, if it is valid there."""
    try:
        grant = _grant(_read(cookie, salt=_COOKIE, max_age=COOKIE_LIVES))
    except TicketUsed:
        return None
    return grant if grant is not None and grant.handle == handle else None


def rights_of(grant: Grant) -> tuple[Right, ...]:
    """Return the rights that a connection by this grant needs."""
    shared = Right(find_shared, (grant.user_id, UUID(grant.agent_id)))
    return Right(find_good, _credential(grant)), shared


def is_signed_in(grant: Grant) -> bool:
    """Return whether the grant's sign-in is still valid. Two queries at most."""
    return bool(find_good([_credential(grant)]))


def find_place(grant: Grant) -> Place | None:
    """Return the granted sandbox's place; ``None`` if the person may no longer see it."""
    agent = Agent.objects.filter(
        pk=UUID(grant.agent_id),
        organization__memberships__user=grant.user_id,
        organization__memberships__role__in=roles_with(Permission.START),
    ).first()
    if agent is None or not is_signed_in(grant):
        return None
    place = place_for(
        agent=agent,
        user_id=grant.user_id,
        branch=grant.branch,
        kind=grant.kind,
        link_id=UUID(grant.link_id) if grant.link_id else None,
    )
    return place if place.handle == grant.handle else None


def _credential(grant: Grant) -> Credential:
    # A credential that can't be unsealed any more is never valid.
    found = unseal(grant.sign_in, user_id=grant.user_id)
    return found or Credential(grant.user_id)


def _read(text: str, *, salt: str, max_age: int) -> dict[str, Any]:
    try:
        given = signing.loads(text, salt=salt, max_age=max_age)
    except signing.BadSignature as exc:
        raise TicketUsed from exc
    return dict(given) if isinstance(given, dict) else {}


def _grant(given: dict[str, Any]) -> Grant | None:
    try:
        grant = Grant(**given)
    except TypeError:
        return None
    return grant if grant.kind in KINDS else None
