from django.db import migrations
from django.db.models import OuterRef, Subquery


def fill(apps, schema_editor):
    """Give each thread the approval level of its newest run."""
    runs = apps.get_model("threads", "Run").objects.filter(thread=OuterRef("pk"))
    newest = runs.order_by("-position").values("approval_level")[:1]
    threads = apps.get_model("threads", "Thread").objects
    threads.filter(runs__isnull=False).update(approval_level=Subquery(newest))


class Migration(migrations.Migration):
    dependencies = [("threads", "0028_keep_the_threads_level")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
