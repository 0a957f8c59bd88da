"""Let an organization be deleted with its agents and their threads; the tables stay as they are."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0020_forget_temperatures_nobody_read")]

    operations = [
        migrations.AlterField(
            model_name="thread",
            name="agent",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="threads",
                to="agents.agent",
            ),
        ),
    ]
