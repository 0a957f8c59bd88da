"""Making people, organizations and tokens."""

from __future__ import annotations

import secrets

from allauth.idp.oidc.models import Client, Token
from django.db import transaction

from mesh.models import Membership, Organization, Role, User

# The one public client whose tokens `mesh_token` and the embedded start hand out.
CLI_CLIENT = "mesh-cli"


def make_home(*, username: str) -> User:
    """Return the owner of an embedded Mesh; make owner and organization ``home`` if missing.

    Safe to repeat: a second start changes nothing.
    """
    with transaction.atomic():
        user, is_new = User.objects.get_or_create(
            username=username, defaults={"is_staff": True, "is_superuser": True}
        )
        if is_new:
            # Signs in by the printed address; `manage.py changepassword` sets a password.
            user.set_unusable_password()
            user.save(update_fields=["password"])
        organization, _ = Organization.objects.get_or_create(slug="home", defaults={"name": "Home"})
        Membership.objects.get_or_create(
            organization=organization, user=user, defaults={"role": Role.OWNER}
        )
    return user


def make_token(*, user: User, name: str = "token") -> str:
    """Return a new bearer token of ``user``; only its hash is kept, so it is shown once."""
    client, _ = Client.objects.get_or_create(
        id=CLI_CLIENT, defaults={"name": "Mesh command line", "type": Client.Type.PUBLIC}
    )
    value = f"mesh_{secrets.token_urlsafe(32)}"
    token = Token(type=Token.Type.ACCESS_TOKEN, client=client, user=user, data={"name": name})
    token.set_value(value)
    token.save()
    return value
