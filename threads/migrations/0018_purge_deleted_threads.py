"""Note when the removal of a deleted thread's rows began, and find such threads by an index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0017_drop_cancel_requested")]

    operations = [
        migrations.AddField(
            model_name="thread",
            name="purge_began_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False)),
                fields=["deleted_at"],
                name="deleted_threads",
            ),
        ),
    ]
