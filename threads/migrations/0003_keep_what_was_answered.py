from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("threads", "0002_keep_expiry_and_pruning"),
    ]

    operations = [
        migrations.AddField(
            model_name="approval",
            name="answers",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
