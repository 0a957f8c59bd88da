"""No run up to now was answered at its temperature, and most have one that nobody asked for."""

from django.db import migrations

AT_ONCE = 1_000
USUAL = 0.5  # what the column held before where nobody asked for another


def forget(apps, schema_editor):
    _write(apps.get_model("threads", "Run").objects.exclude(temperature=None), None)


def put_back(apps, schema_editor):
    _write(apps.get_model("threads", "Run").objects.filter(temperature=None), USUAL)


def _write(runs, value):
    while keys := list(runs.values_list("pk", flat=True)[:AT_ONCE]):
        runs.model.objects.filter(pk__in=keys).update(temperature=value)


class Migration(migrations.Migration):
    dependencies = [("threads", "0019_let_a_temperature_be_unset")]

    operations = [migrations.RunPython(forget, put_back)]
