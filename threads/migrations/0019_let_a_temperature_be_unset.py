from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0018_purge_deleted_threads")]

    operations = [
        migrations.AlterField(
            model_name="run",
            name="temperature",
            field=models.FloatField(null=True),
        ),
    ]
