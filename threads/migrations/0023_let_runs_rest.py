from django.db import migrations, models


class Migration(migrations.Migration):
    """A run whose machine can't be reached is tried again later, from its row (ADR 23)."""

    dependencies = [("threads", "0022_index_pages")]

    operations = [
        migrations.AddField(
            model_name="run", name="resting_since", field=models.DateTimeField(null=True)
        ),
        migrations.AddField(
            model_name="run",
            name="resting_code",
            field=models.CharField(blank=True, default="", max_length=60),
        ),
        migrations.AddField(
            model_name="run", name="retry_at", field=models.DateTimeField(null=True)
        ),
    ]
