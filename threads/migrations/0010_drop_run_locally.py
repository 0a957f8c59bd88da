"""Repeat the reference's migration 085, which dropped the column that 0009 adds (ADR 14).

Pins say where a thread runs. After the way back, ``run_locally`` is false for every thread.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("threads", "0009_add_run_locally")]

    operations = [migrations.RemoveField("Thread", "run_locally")]
