"""Add the two columns into which 0016 splits ``cancel_requested_at``; 0017 then drops that one."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0014_note_what_was_seen")]

    operations = [
        migrations.RemoveIndex(model_name="run", name="stops_to_deliver"),
        migrations.AddField(
            model_name="run", name="cancelled_at", field=models.DateTimeField(null=True)
        ),
        migrations.AddField(
            model_name="run", name="stop_due_at", field=models.DateTimeField(null=True)
        ),
        migrations.RenameField(
            model_name="run", old_name="cancel_delivered_at", new_name="stop_delivered_at"
        ),
    ]
