"""``lane`` is called ``executor``; no value changes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0023_let_runs_rest")]

    operations = [
        migrations.RemoveConstraint(model_name="run", name="known_lane"),
        migrations.RenameField(model_name="run", old_name="lane", new_name="executor"),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=models.Q(("executor__in", ("link", "server"))), name="known_executor"
            ),
        ),
    ]
