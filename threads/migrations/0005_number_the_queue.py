"""Every run gets the place that new ones begin with: the number of its prompt's event."""

from django.db import migrations
from django.db.models import OuterRef, Subquery


def number(apps, schema_editor):
    runs = apps.get_model("threads", "Run").objects.filter(position=0)
    messages = apps.get_model("threads", "Message").objects
    prompt = messages.filter(pk=OuterRef("prompt_id")).values("seq")[:1]
    runs.update(position=Subquery(prompt))


class Migration(migrations.Migration):
    dependencies = [("threads", "0004_order_the_queue")]

    operations = [migrations.RunPython(number, migrations.RunPython.noop)]
