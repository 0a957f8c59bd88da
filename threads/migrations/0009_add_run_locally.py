"""083 of the reference. It lives until the next one; a body's ``runLocally`` was never heard here."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0008_hand_messages_over")]

    operations = [migrations.AddField("Thread", "run_locally", models.BooleanField(default=False))]
