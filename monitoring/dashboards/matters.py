"""What waits for somebody: numbers that UponAI does not have as wanted, and cases in the KYC queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.db.models import Count, Min, Q
from django.urls import reverse

from accounts.kyc.states import WITH_US
from accounts.models import KycRecord
from policies.models import SyncTarget

_State = SyncTarget.State
# Waiting for us; what waits for the subject is not an open matter of ours.


@dataclass(frozen=True, slots=True)
class SyncCounts:
    """How many phone numbers are in which state, and how many have an inbound webhook at UponAI."""

    total: int = 0
    pending: int = 0
    failed: int = 0
    drift: int = 0
    unknown: int = 0
    with_webhook: int = 0

    @property
    def wrong(self) -> int:
        return self.failed + self.drift

    @property
    def wrong_href(self) -> str:
        return _numbers(_State.FAILED if self.failed else _State.DRIFT)


@dataclass(frozen=True, slots=True)
class KycQueue:
    waiting: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Matter:
    """One line, in the shape of components/_open_matters.html."""

    count: int
    text: str
    href: str
    tone: str


def sync_counts() -> SyncCounts:
    states = {state.value: Count("pk", filter=Q(state=state)) for state in _State if state != _State.SYNCED}
    with_webhook = Count("pk", filter=~Q(phone_number__inbound_webhook_url=""))
    return SyncCounts(**SyncTarget.objects.aggregate(total=Count("pk"), with_webhook=with_webhook, **states))


def kyc_queue() -> KycQueue:
    waiting = KycRecord.objects.filter(state__in=WITH_US)
    return KycQueue(**waiting.aggregate(waiting=Count("pk"), oldest=Min("submitted_at")))


def open_matters(
    sync: SyncCounts, kyc: KycQueue, *, refused_webhooks: int, key_leaks: int, now: datetime, approvals: int = 0
) -> tuple[Matter, ...]:
    """The most pressing first; empty when nothing is open."""
    found = []
    if key_leaks:
        text = f"place{'s' * (key_leaks != 1)} showed the private UponAI key: replace it at UponAI, then here"
        found.append(Matter(key_leaks, text, reverse("admin:accounts_workspace_changelist"), "danger"))
    if refused_webhooks:
        text = f"webhook{'s' * (refused_webhooks != 1)} refused in 24 hours: is UponAI's key here still the right one?"
        settings = reverse("admin:accounts_workspace_changelist")
        found.append(Matter(refused_webhooks, text, settings, "danger"))
    for state, count, tone, said in (
        (_State.FAILED, sync.failed, "danger", "could not be configured at UponAI"),
        (_State.DRIFT, sync.drift, "danger", "changed at UponAI by somebody else"),
        (_State.PENDING, sync.pending, "notice", "waiting for UponAI"),
        (_State.UNKNOWN, sync.unknown, "warning", "not compared with UponAI yet"),
    ):
        if count:
            found.append(Matter(count, f"phone number{'s' * (count != 1)} {said}", _numbers(state), tone))
    if approvals:
        text = f"change{'s wait' if approvals != 1 else ' waits'} for a second person"
        found.append(Matter(approvals, text, reverse("admin:policies_proposedchange_changelist"), "warning"))
    if kyc.waiting:
        found.append(_kyc(kyc, now))
    return tuple(found)


def _kyc(kyc: KycQueue, now: datetime) -> Matter:
    hours = int((now - kyc.oldest).total_seconds() // 3600) if kyc.oldest else 0
    age = f"{hours // 24} days" if hours >= 48 else f"{hours} h" if hours else "less than an hour"
    text = f"KYC case{'s' * (kyc.waiting != 1)} waiting for review, the oldest for {age}"
    return Matter(kyc.waiting, text, reverse("admin:accounts_kycrecord_changelist"), "warning")


def _numbers(state: str) -> str:
    query = urlencode({"sync_target__state__exact": state})
    return f"{reverse('admin:policies_phonenumber_changelist')}?{query}"
