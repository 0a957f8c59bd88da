"""The address that signs the owner in once, like the one that Jupyter prints."""

from __future__ import annotations

import secrets
from datetime import timedelta

from allauth.idp.oidc.models import Token
from django.utils import timezone

from mesh.models import User

LIFE = timedelta(hours=12)


def make_ticket(*, user: User) -> str:
    """Return a ticket that ``redeem`` accepts once; only its hash is stored."""
    value = secrets.token_urlsafe(24)
    token = Token(
        type=Token.Type.AUTHORIZATION_CODE,
        user=user,
        expires_at=timezone.now() + LIFE,
        data={"name": "entry"},
    )
    token.set_value(value)
    token.save()
    return value


def redeem(value: str) -> User | None:
    """Use up the ticket ``value`` and return its owner; ``None`` if unknown, expired or used."""
    found = (
        Token.objects.valid()
        .by_value(value)
        .filter(type=Token.Type.AUTHORIZATION_CODE, client=None, user__is_active=True)
        .select_related("user")
        .first()
    )
    # Two browsers may use it at the same time: the one that deletes the row wins.
    if found is None or Token.objects.filter(pk=found.pk).delete()[0] != 1:
        return None
    user: User = found.user
    return user
