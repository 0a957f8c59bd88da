from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0024_name_the_executor")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="folder_choices",
            field=models.JSONField(default=list),
        ),
    ]
