from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Let a page of threads or of messages cost the same however many there are."""

    dependencies = [("threads", "0021_let_organizations_go")]

    operations = [
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(
                fields=["owner", "organization", "-updated_at", "-id"],
                condition=Q(deleted_at=None),
                name="newest_threads",
            ),
        ),
        migrations.RemoveIndex(model_name="thread", name="threads_of_an_owner"),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["thread", "-position"], name="runs_in_order"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["thread", "-finished_at"], name="newest_ends"),
        ),
    ]
