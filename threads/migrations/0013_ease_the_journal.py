from django.db import migrations, models
from django.db.models.deletion import CASCADE


class Migration(migrations.Migration):
    """Take from the journal's rows what cost more than the rest of writing them (ADR 19)."""

    dependencies = [("threads", "0012_keep_attachments")]

    operations = [
        migrations.AlterField(
            model_name="event",
            name="run",
            field=models.ForeignKey(
                "threads.run",
                CASCADE,
                null=True,
                related_name="events",
                db_constraint=False,
                db_index=False,
            ),
        ),
        migrations.AlterField(
            model_name="event",
            name="thread",
            field=models.ForeignKey(
                "threads.thread",
                CASCADE,
                related_name="events",
                db_constraint=False,
                db_index=False,
            ),
        ),
    ]
