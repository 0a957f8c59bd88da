"""Repeat the reference's migration 084, which dropped the sandboxes of kind ``host`` (ADR 14).

The way back restores no rows.
"""

from django.db import migrations


def drop_host_rows(apps, schema_editor):
    states = apps.get_model("sandboxes", "SandboxRunnerState")
    states.objects.using(schema_editor.connection.alias).filter(runner_kind="host").delete()


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0001_create_runner_states")]

    operations = [migrations.RunPython(drop_host_rows, migrations.RunPython.noop)]
