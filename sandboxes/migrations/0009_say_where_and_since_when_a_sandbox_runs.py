"""What was recorded so far had been started; its machine is the one that vmMap names.

Rows get theirs at the next run: until then the entry in vmMap says it.
"""

from django.db import migrations, models


def started_when_created(apps, schema_editor):
    rows = apps.get_model("sandboxes", "SandboxRunnerState").objects
    rows.filter(started_at=None).update(started_at=models.F("created_at"))


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0008_show_vm_maps")]

    operations = [
        migrations.AddField(
            model_name="sandboxrunnerstate",
            name="link_id",
            field=models.UUIDField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="sandboxrunnerstate",
            name="started_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunPython(started_when_created, migrations.RunPython.noop),
    ]
