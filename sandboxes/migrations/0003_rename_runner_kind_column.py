"""085 of the reference: the column's new name."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0002_drop_host_sandboxes")]

    operations = [
        migrations.RenameField("SandboxRunnerState", "runner_kind", "sandbox_provider_kind")
    ]
