import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0030_know_what_a_question_is_about")]

    operations = [
        migrations.CreateModel(
            name="BackgroundWork",
            fields=[
                (
                    "thread",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="background",
                        serialize=False,
                        to="threads.thread",
                    ),
                ),
                ("executor", models.CharField(default="link", max_length=10)),
                ("tasks", models.JSONField(default=list)),
                ("stops", models.JSONField(default=list)),
                ("quiet_since", models.DateTimeField(null=True)),
                ("node", models.CharField(blank=True, max_length=255)),
                ("leased_until", models.DateTimeField(null=True)),
            ],
        ),
    ]
