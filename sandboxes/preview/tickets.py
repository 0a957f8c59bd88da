"""Who may see a preview: a ticket, good once and for a minute, becomes a cookie of its origin.

Both are signed and say whose sandbox it is, and by which sign-in it was opened; whether that
holds, and the person may still see it, is looked up.
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
    text = "This link to the preview was used, or is too old."
    hint = "Open the preview from Mesh again."
    status = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a person may see: one sandbox, under its handle's origin."""

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
    """Return the cookie for a ticket, which is used up by it.

    Raises:
        TicketUsed: it was used, is too old, for another origin, or none at all.
    """
    given = _read(ticket, salt=_TICKET, max_age=TICKET_LIVES)
    nonce = str(given.pop("nonce", ""))
    grant = _grant(given)
    if grant is None or grant.handle != handle or not nonce:
        raise TicketUsed
    # Of several who come with it at once, one finds it unused.
    if not use_once("preview ticket", nonce, expires_at=timezone.now() + REMEMBERED):
        raise TicketUsed
    return signing.dumps(asdict(grant), salt=_COOKIE, compress=True)


def read_cookie(cookie: str, *, handle: str) -> Grant | None:
    """Return what a cookie grants at the origin of ``handle``; ``None``: nothing."""
    try:
        grant = _grant(_read(cookie, salt=_COOKIE, max_age=COOKIE_LIVES))
    except TicketUsed:
        return None
    return grant if grant is not None and grant.handle == handle else None


def rights_of(grant: Grant) -> tuple[Right, ...]:
    """Return what a connection by this grant stands on."""
    shared = Right(find_shared, (grant.user_id, UUID(grant.agent_id)))
    return Right(find_good, _credential(grant)), shared


def is_signed_in(grant: Grant) -> bool:
    """Say whether the sign-in that the grant was made with still holds. Two queries at most."""
    return bool(find_good([_credential(grant)]))


def find_place(grant: Grant) -> Place | None:
    """Return where the granted sandbox is; ``None`` when the person may not see it any more."""
    agent = Agent.objects.filter(
        pk=UUID(grant.agent_id), organization__memberships__user=grant.user_id
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
    # One that can't be read any more holds never.
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
