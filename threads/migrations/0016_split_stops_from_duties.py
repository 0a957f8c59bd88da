"""Split ``cancel_requested_at``: a person stopped the run, or its machine has to be told to stop.

A run that ended in another way than "cancelled" was not stopped by a person: the server had given
it up, and its machine still had to be told.
"""

from django.db import migrations
from django.db.models import F, Q
from django.db.models.functions import Coalesce

ENDED_OTHERWISE = ("completed", "failed", "expired", "steered")


def split(apps, schema_editor):
    asked = apps.get_model("threads", "Run").objects.filter(cancel_requested_at__isnull=False)
    by_a_person = asked.filter(cancelled_at=None).exclude(state__in=ENDED_OTHERWISE)
    by_a_person.update(cancelled_at=F("cancel_requested_at"))
    # What never went to a machine needs no stop there.
    asked.filter(stop_due_at=None, fence__gt=0).update(stop_due_at=F("cancel_requested_at"))


def join(apps, schema_editor):
    runs = apps.get_model("threads", "Run").objects
    stopped = runs.filter(Q(cancelled_at__isnull=False) | Q(stop_due_at__isnull=False))
    stopped.update(cancel_requested_at=Coalesce("cancelled_at", "stop_due_at"))


class Migration(migrations.Migration):
    dependencies = [("threads", "0015_keep_stops_and_duties")]

    operations = [migrations.RunPython(split, join)]
