"""Repeat the reference's migration 086, which keyed vmMap by kind as well (ADR 14).

An entry had two levels, user and branch; the kind becomes the third. On the way back a branch keeps the first of its kinds. The pins of threads, which 086 also adds,
have been columns of ours since ``threads/0001``.
"""

from django.db import migrations

from sandboxes.core.reference import collapse_entries, wrap_entries
from sandboxes.moving import move_metadata


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("sandboxes", "0004_rename_runner_kind_in_vm_maps")]

    operations = [
        migrations.RunPython(move_metadata(wrap_entries), move_metadata(collapse_entries))
    ]
