"""Repeat the reference's migration 083, which added a column that 0010 drops again (ADR 14).

Nothing ever set it here. It exists so that a database of each of the reference's versions has a
version of ours to match.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0008_hand_messages_over")]

    operations = [migrations.AddField("Thread", "run_locally", models.BooleanField(default=False))]
