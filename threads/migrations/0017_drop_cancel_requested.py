"""Drop the column that 0016 split in two."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0016_split_stops_from_duties")]

    operations = [
        migrations.RemoveField(model_name="run", name="cancel_requested_at"),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                fields=["thread"],
                condition=models.Q(stop_due_at__isnull=False, stop_delivered_at=None),
                name="stops_to_deliver",
            ),
        ),
    ]
