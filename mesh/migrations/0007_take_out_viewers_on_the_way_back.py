"""What went before knows no viewers. On the way back they are no members: never more than before."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def take_out(apps: Any, schema_editor: Any) -> None:
    apps.get_model("mesh", "Membership").objects.filter(role="viewer").delete()


class Migration(migrations.Migration):
    dependencies = [("mesh", "0006_add_viewers")]
    operations = [migrations.RunPython(migrations.RunPython.noop, take_out)]
