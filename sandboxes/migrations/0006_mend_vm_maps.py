"""Repeat the reference's migration 087, which mended the entries that 085 and 086 missed (ADR 14).

The way back changes nothing: 0005 can read a mended map.
"""

from django.db import migrations

from sandboxes.core.reference import fix_vm_map
from sandboxes.moving import move_metadata


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("sandboxes", "0005_rekey_vm_maps_by_kind")]

    operations = [migrations.RunPython(move_metadata(fix_vm_map), migrations.RunPython.noop)]
