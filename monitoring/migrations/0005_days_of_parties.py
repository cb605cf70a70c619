"""Counts of parties by the day, and blocked calls of every source in the counts of usage.

What was counted from decisions is counted anew: progress begins at the first blocked call.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_sync_settings"),
        ("monitoring", "0003_hour_totals"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="partybucket", name="party_bucket_once"),
        migrations.AddField(
            model_name="partybucket",
            name="step",
            field=models.CharField(choices=[("hour", "Hour"), ("day", "Day")], default="hour", max_length=4),
        ),
        migrations.AlterField(
            model_name="partybucket",
            name="hour",
            field=models.DateTimeField(help_text="When the hour, or the day, began."),
        ),
        migrations.AddConstraint(
            model_name="partybucket",
            constraint=models.UniqueConstraint(
                fields=("workspace", "step", "hour", "kind", "value", "outcome"), name="party_bucket_once"
            ),
        ),
        migrations.RemoveField(model_name="rollupprogress", name="decisions_until"),
        migrations.AddField(
            model_name="rollupprogress",
            name="usage_blocked_until",
            field=models.BigIntegerField(default=0, help_text="The highest BlockedCall.id in UsageBucket."),
        ),
        migrations.AlterField(
            model_name="blockedcall",
            name="source",
            field=models.CharField(
                choices=[
                    ("gate", "Refused at the gate"),
                    ("inbound", "Rejected by our answer to UponAI"),
                    ("transfer", "A running call, transferred to where it may not go"),
                    ("refused", "Refused by UponAI when it was to be started"),
                    ("not_connected", "Not connected, for a reason that means a block"),
                ],
                max_length=14,
            ),
        ),
    ]
