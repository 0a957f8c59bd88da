import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import mesh.lib.ids


class Migration(migrations.Migration):
    dependencies = [
        ("mesh", "0001_create_people_and_organizations"),
    ]

    operations = [
        migrations.CreateModel(
            name="WrongCode",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("address", models.CharField(db_index=True, max_length=45)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Pairing",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=mesh.lib.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("asked", "Asked"),
                            ("approved", "Approved"),
                            ("denied", "Denied"),
                            ("paired", "Paired"),
                        ],
                        default="asked",
                        max_length=10,
                    ),
                ),
                ("device_code", models.CharField(max_length=64, null=True, unique=True)),
                ("user_code", models.CharField(max_length=64, null=True, unique=True)),
                ("hostname", models.CharField(blank=True, max_length=255)),
                ("platform", models.CharField(blank=True, max_length=100)),
                ("machine_id", models.CharField(blank=True, max_length=64)),
                ("version", models.CharField(blank=True, max_length=40)),
                ("address", models.CharField(blank=True, max_length=45)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField(db_index=True, null=True)),
                ("polled_at", models.DateTimeField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pairings",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["address", "created_at"], name="pairings_by_address")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "asked"), ("user", None)),
                            models.Q(
                                ("state__in", ["approved", "denied", "paired"]),
                                ("user__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="pairing_is_answered_by_someone",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("expires_at", None), ("state", "paired")),
                            models.Q(
                                models.Q(("state", "paired"), _negated=True),
                                ("expires_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="pairing_expires_until_paired",
                    ),
                ],
            },
        ),
    ]
