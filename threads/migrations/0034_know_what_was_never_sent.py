from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0033_keep_why_a_question_is_asked")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="never_sent",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
