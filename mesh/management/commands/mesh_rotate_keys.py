"""``manage.py mesh_rotate_keys``: seal every secret anew under the newest encryption key."""

from __future__ import annotations

from typing import Any, Final

from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model

from agents.models import McpServerRow, ProviderKey
from links.models import Link
from mesh import keys

# Everything that is sealed, and where.
SEALED: Final[tuple[tuple[type[Model], str], ...]] = (
    (ProviderKey, "sealed_key"),
    (McpServerRow, "sealed_headers"),
    (Link, "secret"),
)


class Command(BaseCommand):
    help = (
        "Seal every secret anew under the first of MESH_ENCRYPTION_KEYS. Put the new key in front"
        " of the old one, restart, run this, then take the old one out. Safe to repeat."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done, lost = 0, []
        for model, field in SEALED:
            for row_id, sealed in model._default_manager.values_list("pk", field):
                if not sealed:
                    continue
                try:
                    anew = keys.reseal(sealed)
                except InvalidToken:
                    lost.append(f"{model.__name__} {row_id}")
                    continue
                # Who changed it meanwhile sealed it under the newest key already.
                same = model._default_manager.filter(pk=row_id, **{field: sealed})
                done += same.update(**{field: anew})
        self.stdout.write(f"{done} secrets are sealed under the newest key.")
        if lost:
            raise CommandError(
                f"None of MESH_ENCRYPTION_KEYS opens: {', '.join(lost)}. Keep the old key."
            )
