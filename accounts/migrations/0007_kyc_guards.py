"""Makes the databases themselves hold every KYC record to its transitions."""

from django.db import migrations

from accounts.kyc import guards


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_sync_settings")]

    operations = [migrations.RunPython(guards.put_up, guards.take_down)]
