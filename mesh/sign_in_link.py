"""The address that signs the owner in once, as Jupyter prints it."""

from __future__ import annotations

import secrets
from datetime import timedelta

from allauth.idp.oidc.models import Token
from django.utils import timezone

from mesh.models import User

LIFE = timedelta(hours=12)


def make_ticket(*, user: User) -> str:
    """Return a ticket that ``redeem`` takes once; kept as a hash, like every token."""
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
    """Return whose ticket ``value`` is and use it up; ``None`` if it is unknown, old or used."""
    found = (
        Token.objects.valid()
        .by_value(value)
        .filter(type=Token.Type.AUTHORIZATION_CODE, client=None, user__is_active=True)
        .select_related("user")
        .first()
    )
    # Two browsers may come at once: who deletes the row has it.
    if found is None or Token.objects.filter(pk=found.pk).delete()[0] != 1:
        return None
    user: User = found.user
    return user
