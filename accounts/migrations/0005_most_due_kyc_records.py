"""Finds the records most due without sorting all of them, and gives those from before there was a clock a due time."""

from datetime import timedelta

from django.db import migrations, models

WITH_US = ["submitted", "suspended", "in_review", "proposed_approve", "proposed_reject"]
USUAL_REVIEW = timedelta(hours=24)


def give_a_due_time(apps, schema_editor):
    KycRecord = apps.get_model("accounts", "KycRecord")
    for record in KycRecord.objects.filter(state__in=WITH_US, due_at=None).iterator():
        since = record.submitted_at or record.created_at
        KycRecord.objects.filter(pk=record.pk).update(
            clock_since=since, warn_at=since + USUAL_REVIEW * 0.8, due_at=since + USUAL_REVIEW
        )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_provider_secret")]

    operations = [
        migrations.RunPython(give_a_due_time, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="kycrecord",
            index=models.Index(
                condition=models.Q(due_at__isnull=False),
                fields=["workspace", "due_at", "id"],
                name="kyc_record_most_due",
            ),
        ),
    ]
