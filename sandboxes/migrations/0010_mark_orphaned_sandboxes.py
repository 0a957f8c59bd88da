"""Note which sandboxes have lost their last thread, and when their removal was tried."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0009_say_where_and_since_when_a_sandbox_runs")]

    operations = [
        migrations.AddField(
            model_name="sandboxrunnerstate",
            name="orphaned_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="sandboxrunnerstate",
            name="removal_tried_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name="sandboxrunnerstate",
            index=models.Index(
                condition=models.Q(("orphaned_at__isnull", False)),
                fields=["orphaned_at"],
                name="orphaned_sandboxes",
            ),
        ),
    ]
