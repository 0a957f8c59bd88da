"""Repeat the first part of the reference's migration 085, which renamed this column (ADR 14)."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0002_drop_host_sandboxes")]

    operations = [
        migrations.RenameField("SandboxRunnerState", "runner_kind", "sandbox_provider_kind")
    ]
