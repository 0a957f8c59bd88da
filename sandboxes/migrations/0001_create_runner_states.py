"""Create the table as the reference had it before its migration 084, so that 0002–0006 can repeat
what 084 to 087 did to it (ADR 14)."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import mesh.lib.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="SandboxRunnerState",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=mesh.lib.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                ("project_ref", models.CharField(max_length=300)),
                ("runner_kind", models.CharField(max_length=20)),
                ("handle", models.CharField(db_index=True, max_length=63)),
                ("state", models.JSONField(blank=True, default=dict)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "used_at",
                    models.DateTimeField(db_index=True, default=django.utils.timezone.now),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sandbox_states",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"verbose_name": "sandbox", "verbose_name_plural": "sandboxes"},
        ),
    ]
