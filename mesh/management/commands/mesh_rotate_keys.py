"""``manage.py mesh_rotate_keys``: encrypt every stored secret with the newest key."""

from __future__ import annotations

from typing import Any, Final

from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model

from agents.models import McpServerRow, ProviderKey
from links.models import Link
from mesh import keys
from threads.models import Approval

# Every encrypted column.
SEALED: Final[tuple[tuple[type[Model], str], ...]] = (
    (ProviderKey, "sealed_key"),
    (McpServerRow, "sealed_headers"),
    (Link, "secret"),
    (Approval, "sealed_answers"),
)


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret with the first of MESH_ENCRYPTION_KEYS. Put the new key in"
        " front of the old one, restart, run this, then remove the old one. Safe to repeat."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done, lost = 0, []
        for model, field in SEALED:
            for row_id, sealed in model._default_manager.values_list("pk", field):
                if not sealed:
                    continue
                try:
                    resealed = keys.reseal(sealed)
                except InvalidToken:
                    lost.append(f"{model.__name__} {row_id}")
                    continue
                # If it has changed in the meantime, it is already under the newest key.
                same = model._default_manager.filter(pk=row_id, **{field: sealed})
                done += same.update(**{field: resealed})
        self.stdout.write(f"{done} secrets are encrypted with the newest key.")
        if lost:
            raise CommandError(
                f"None of MESH_ENCRYPTION_KEYS decrypts: {', '.join(lost)}. Keep the old key."
            )
