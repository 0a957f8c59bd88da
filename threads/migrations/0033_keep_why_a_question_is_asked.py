from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0032_keep_the_size_of_pictures")]

    operations = [
        migrations.AddField(
            model_name="approval",
            name="because",
            field=models.CharField(blank=True, db_default="", default="", max_length=500),
        ),
    ]
