from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("threads", "0026_keep_digests_of_messages"),
    ]

    operations = [
        migrations.AddField(
            model_name="approval",
            name="sealed_answers",
            field=models.TextField(blank=True, default=""),
        ),
    ]
