"""085 of the reference: pins (086) say where a thread runs. Back again, every thread says no."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("threads", "0009_add_run_locally")]

    operations = [migrations.RemoveField("Thread", "run_locally")]
