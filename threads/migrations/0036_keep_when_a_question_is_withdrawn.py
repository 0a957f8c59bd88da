from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0035_keep_what_agents_offer")]

    operations = [
        migrations.AddField(
            model_name="approval",
            name="withdrawn_at",
            field=models.DateTimeField(null=True),
        ),
    ]
