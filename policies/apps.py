"""Makes the package known to Django, and lends `accounts` what it must know of the gate."""

from django.apps import AppConfig


class PoliciesConfig(AppConfig):
    name = "policies"

    def ready(self) -> None:
        from accounts import gate_rules
        from accounts.kyc import privacy
        from policies import subject_attempts
        from policies.gate_rules import PoliciesGateRules

        gate_rules.lend(PoliciesGateRules())
        privacy.also_exports(subject_attempts.FILE, subject_attempts.lines)
