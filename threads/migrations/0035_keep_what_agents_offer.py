import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("links", "0003_keep_the_token_that_registered"),
        ("threads", "0034_know_what_was_never_sent"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="effort",
            field=models.CharField(blank=True, default="", max_length=40),
        ),
        migrations.AddField(
            model_name="run",
            name="model",
            field=models.CharField(blank=True, default="", max_length=200),
        ),
        migrations.AddField(
            model_name="thread",
            name="effort",
            field=models.CharField(blank=True, default="", max_length=40),
        ),
        migrations.AddField(
            model_name="thread",
            name="model",
            field=models.CharField(blank=True, default="", max_length=200),
        ),
        migrations.CreateModel(
            name="AgentOptions",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("harness_id", models.CharField(max_length=60)),
                ("version", models.CharField(blank=True, max_length=300)),
                ("trouble", models.CharField(blank=True, default="", max_length=60)),
                ("options", models.JSONField(default=dict)),
                (
                    "link",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="links.link",
                    ),
                ),
                (
                    "thread",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="agent_options",
                        to="threads.thread",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("thread", None)),
                        fields=("link", "harness_id"),
                        name="what_a_machines_agent_offers",
                    )
                ],
            },
        ),
    ]
