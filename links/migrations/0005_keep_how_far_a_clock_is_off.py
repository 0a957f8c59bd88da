from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("links", "0004_know_copies_of_a_machine"),
    ]

    operations = [
        migrations.AddField(
            model_name="link",
            name="clock_ahead",
            field=models.IntegerField(default=0),
        ),
    ]
