"""Repeat the second part of the reference's migration 085, renaming it in vmMap (ADR 14).

The entries have two levels here: user, branch.
"""

from django.db import migrations

from sandboxes.core.reference import rename_runner_kind, restore_runner_kind
from sandboxes.moving import move_metadata


class Migration(migrations.Migration):
    # Each batch is a transaction of its own; what is done is not done again.
    atomic = False

    dependencies = [
        ("sandboxes", "0003_rename_runner_kind_column"),
        ("agents", "0001_create_agents"),
    ]

    operations = [
        migrations.RunPython(move_metadata(rename_runner_kind), move_metadata(restore_runner_kind))
    ]
