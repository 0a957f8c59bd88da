from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0004_purge_cli_sentinels")]
    operations = [
        migrations.AddField(
            model_name="mcpserverrow",
            name="silent_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
