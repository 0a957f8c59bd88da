"""086 of the reference: user → branch → kind. Back again, the first kind of a branch stays.

The pins of threads, which 086 adds too, are columns of ours since the first migration.
"""

from django.db import migrations

from sandboxes.core.reference import collapse_entries, wrap_entries
from sandboxes.moving import move_metadata


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("sandboxes", "0004_rename_runner_kind_in_vm_maps")]

    operations = [
        migrations.RunPython(move_metadata(wrap_entries), move_metadata(collapse_entries))
    ]
