"""Repeat the reference's migration 088, which removed keys that were only marks (ADR 14).

Such a "key" said that a CLI had been activated. The way back restores none: they would make an organization without a key look as if it had one.
"""

from django.db import migrations


def purge(apps, schema_editor):
    keys = apps.get_model("agents", "ProviderKey").objects.using(schema_editor.connection.alias)
    keys.filter(provider__in=["claude-code", "codex"]).delete()


class Migration(migrations.Migration):
    dependencies = [("agents", "0003_keep_provider_keys")]

    operations = [migrations.RunPython(purge, migrations.RunPython.noop)]
