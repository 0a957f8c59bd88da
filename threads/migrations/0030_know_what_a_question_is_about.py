from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0029_take_the_level_of_the_last_run")]

    operations = [
        migrations.AddField(
            model_name="approval",
            name="is_known",
            field=models.BooleanField(db_default=True, default=True),
        ),
    ]
