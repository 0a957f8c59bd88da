"""087 of the reference: what the re-key left at two levels, or with the key's old name.

Nothing is undone on the way back: a mended map is one that 086's way back reads.
"""

from django.db import migrations

from sandboxes.core.reference import fix_vm_map
from sandboxes.moving import move_metadata


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("sandboxes", "0005_rekey_vm_maps_by_kind")]

    operations = [migrations.RunPython(move_metadata(fix_vm_map), migrations.RunPython.noop)]
