"""Tokens of before could do everything and never expired: now they say so, and do expire."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.db import migrations
from django.utils import timezone

CLIENT, LIFE = "mesh-cli", timedelta(days=90)


def give(apps: Any, schema_editor: Any) -> None:
    Token = apps.get_model("allauth_idp_oidc", "Token")
    IssuedToken = apps.get_model("mesh", "IssuedToken")
    ours = Token.objects.filter(client_id=CLIENT, type="at")
    ours.filter(scopes="").update(scopes="user")
    ours.filter(expires_at=None).update(expires_at=timezone.now() + LIFE)
    for token in ours.filter(issued=None).iterator(chunk_size=500):
        name = token.data.get("name") if isinstance(token.data, dict) else None
        name = name[:120] if isinstance(name, str) and name else "token"
        IssuedToken.objects.create(id=uuid4(), token=token, name=name)


def take_back(apps: Any, schema_editor: Any) -> None:
    """What went before reads "user" as any other word; the expiry stays, as it understands it."""
    Token = apps.get_model("allauth_idp_oidc", "Token")
    Token.objects.filter(client_id=CLIENT, type="at", scopes="user").update(scopes="")


class Migration(migrations.Migration):
    dependencies = [("mesh", "0003_keep_when_tokens_are_used")]
    operations = [migrations.RunPython(give, take_back)]
