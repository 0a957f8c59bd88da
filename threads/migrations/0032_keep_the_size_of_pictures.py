from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0031_watch_background_work")]

    operations = [
        migrations.AddField(
            model_name="attachment",
            name="width",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="attachment",
            name="height",
            field=models.PositiveIntegerField(null=True),
        ),
    ]
