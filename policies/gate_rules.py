"""What `accounts` has to know of the gate: limits, KYC rules, our numbers. Lent to it at the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError

from accounts import gate_rules
from accounts.audit import Acting
from accounts.gate_rules import KeyUse, LimitRow
from accounts.models import PublicKey, Workspace
from policies import bells, limit_rows, loosened
from policies.engine.names import Reason, VerdictKind
from policies.engine.rules import KycRules, MalformedRules
from policies.limit_input import BadLimits, stored_limits
from policies.limit_words import in_words
from policies.models import Decision, PhoneNumber


class PoliciesGateRules:
    """Implements accounts.gate_rules.GateRules."""

    def read_limits(self, place: str, value: Any) -> dict[str, Any]:
        try:
            return stored_limits(value, place="workspace" if place == gate_rules.WORKSPACE else "outbound")
        except BadLimits as problem:
            raise ValidationError(str(problem)) from None

    def read_kyc_rules(self, value: Any) -> dict[str, Any]:
        try:
            return KycRules.from_dict(value).as_dict()
        except MalformedRules as problem:
            raise ValidationError(str(problem)) from None

    def workspace_limit_rows(self) -> list[LimitRow]:
        return limit_rows.of_workspace()

    def key_limit_rows(self, workspace_id: int, public_key: PublicKey | None) -> list[LimitRow]:
        return limit_rows.of_key(workspace_id, public_key)

    def effective_limits(self, keys: Sequence[PublicKey]) -> dict[int, dict[str, dict[str, Any]]]:
        return limit_rows.effective_limits(keys)

    def fraud_protection_limits(self, public_key: PublicKey) -> list[str]:
        wider = limit_rows.Wider.around(public_key.workspace_id, [public_key])
        limits = {name: wider.in_force(public_key, name)[0] for name in sorted(limit_rows.FRAUD_PROTECTION)}
        return [in_words(name, limit) for name, limit in limits.items() if limit is not None]

    def use_today(self, public_key: PublicKey, now: datetime) -> KeyUse:
        zone = ZoneInfo(public_key.workspace.time_zone)
        midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        attempts = Decision.objects.filter(public_key=public_key.key, at__gte=midnight)
        limited = attempts.exclude(verdict=VerdictKind.ALLOW).filter(reason=Reason.RATE_LIMITED)
        return KeyUse(attempts.count(), limited.count())

    def owns_number(self, e164: str) -> bool:
        return PhoneNumber.objects.filter(e164=e164).exists()

    def ask_about_settings(
        self,
        before: Mapping[str, Any],
        changes: Mapping[str, Any],
        workspace: Workspace,
        acting_user: Acting,
        now: datetime,
    ) -> None:
        loosened.ask_about_settings(before, changes, workspace, acting_user=acting_user, now=now)

    def ask_to_observe_key(
        self,
        public_key: PublicKey,
        before: Mapping[str, Any] | None,
        changes: Mapping[str, Any],
        acting_user: Acting,
        now: datetime,
    ) -> None:
        loosened.ask_to_observe_key(public_key, before, changes, acting_user=acting_user, now=now)

    def tell(self, workspace_id: int, version: int) -> None:
        bells.publish_snapshot(workspace_id, version)
