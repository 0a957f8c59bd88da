"""Bearer tokens that a person makes, for themselves or for a machine."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from allauth.idp.oidc.models import Client, Token
from django.db import transaction
from django.utils import timezone

from mesh.lib import oauth
from mesh.models import IssuedToken, User
from mesh.tokens import LIFE, Scope

# The one public client whose tokens `mesh_token` and the embedded start hand out.
MOST_TOKENS: Final = 100  # of one person, on the page

CLI_CLIENT: Final = "mesh-cli"


def make_token(
    *,
    user: User,
    name: str = "token",
    scope: Scope = "user",
    machine_id: str = "",
    life: timedelta = LIFE,
) -> str:
    """Return a new bearer token of ``user``; only its hash is stored, so it is shown once.

    A token with the scope ``machine`` works for ``machine_id``, or for the first machine that
    registers with it.
    """
    client, _ = Client.objects.get_or_create(
        id=CLI_CLIENT, defaults={"name": "Mesh command line", "type": Client.Type.PUBLIC}
    )
    value = f"mesh_{secrets.token_urlsafe(32)}"
    token = Token(
        type=Token.Type.ACCESS_TOKEN, client=client, user=user, expires_at=timezone.now() + life
    )
    token.set_value(value)
    token.set_scopes([oauth.USER_SCOPE if scope == "user" else oauth.SCOPE])
    with transaction.atomic():
        Token.objects.expired().filter(client=client, user=user).delete()
        token.save()
        IssuedToken.objects.create(token=token, name=name[:120], machine_id=machine_id)
    return value


def revoke_issued_token(*, issued: IssuedToken) -> None:
    """Revoke a token that ``make_token`` made. Safe to repeat.

    Connections that use it end within five seconds.
    """
    Token.objects.filter(pk=issued.token_id).delete()
