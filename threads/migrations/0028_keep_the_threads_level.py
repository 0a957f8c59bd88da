from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0027_seal_secret_answers")]

    operations = [
        migrations.AddField(
            model_name="thread",
            name="approval_level",
            field=models.CharField(blank=True, default="", max_length=20),
        ),
    ]
