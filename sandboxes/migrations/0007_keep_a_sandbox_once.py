"""Allow one row per user, project and kind, which 0001 could not: 0003 renames a column of the
constraint, and a rename does not reach into one (ADR 14)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0006_mend_vm_maps")]

    operations = [
        migrations.AddConstraint(
            model_name="sandboxrunnerstate",
            constraint=models.UniqueConstraint(
                fields=("user", "project_ref", "sandbox_provider_kind"),
                name="a_sandbox_once_per_user_project_and_kind",
            ),
        ),
    ]
