"""What a digest tells, as plain data: figures beside those of the period before, and what somebody should look at.

Traffic comes from the hourly rollups alone, so a digest over ten million calls costs what one over a thousand does.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, F, Q, QuerySet, Sum
from django.urls import reverse
from django.utils import timezone

from accounts.countries import CODES, NAMES, name_of
from accounts.kyc.states import WITH_US
from accounts.models import KycRecord, PublicKey, Workspace
from monitoring.models import Alert, UsageBucket
from policies import approvals, attestations, words
from policies.admin.hold_words import capital, what
from policies.models import CountryPolicy, Decision, ListEntry, Open, PhoneNumber, SyncTarget

MOST_LINES: Final = 8
UNUSED_DAYS: Final = 30
_BLOCKED: Final = Q(outcome=UsageBucket.Outcome.BLOCKED)

Line = dict[str, Any]
"""{"text": …, "path": the page behind it}"""


def of(workspace: Workspace, *, start: datetime, end: datetime, now: datetime) -> dict[str, Any]:
    """The content of the digest of the current workspace's period from `start` to `end`."""
    before = start - (end - start)
    buckets = UsageBucket.objects.filter(hour__gte=before, hour__lt=end)
    return {
        "figures": _figures(buckets, start),
        "reasons": _blocked_by("reason", buckets, start),
        "countries": _blocked_by("country", buckets, start),
        "observed": list(_observed(start, end)),
        "open": [*_opens(now), *_unrestricted(), *_unused(now)],
        "review": list(_review(now)),
    }


# --- Figures --------------------------------------------------------------------------------------


def _figures(buckets: QuerySet[UsageBucket], start: datetime) -> dict[str, dict[str, float]]:
    """{"calls": {"now": …, "before": …}, …}"""
    sums = {}
    for name, period in (("now", Q(hour__gte=start)), ("before", Q(hour__lt=start))):
        sums |= {
            f"calls_{name}": Sum("calls", filter=period & ~_BLOCKED, default=0),
            f"blocked_{name}": Sum("calls", filter=period & _BLOCKED, default=0),
            f"seconds_{name}": Sum("seconds", filter=period & ~_BLOCKED, default=0),
            f"cents_{name}": Sum("cost_cents", filter=period & ~_BLOCKED, default=0),
        }
    found = buckets.aggregate(**sums)
    units = {"calls": ("calls", 1), "blocked": ("blocked", 1), "minutes": ("seconds", 60), "usd": ("cents", 100)}
    return {
        figure: {name: round(float(found[f"{column}_{name}"]) / unit, 2) for name in ("now", "before")}
        for figure, (column, unit) in units.items()
    }


def _blocked_by(column: str, buckets: QuerySet[UsageBucket], start: datetime) -> list[dict[str, Any]]:
    sums = {
        "now": Sum("calls", filter=Q(hour__gte=start), default=0),
        "before": Sum("calls", filter=Q(hour__lt=start), default=0),
    }
    rows = buckets.filter(_BLOCKED).exclude(**{column: ""}).values(key=F(column)).annotate(**sums)
    some = rows.order_by("-now", "-before", "key")[:MOST_LINES]
    return [{"key": row["key"], "now": row["now"], "before": row["before"]} for row in some]


# --- What was observed, and what is open ----------------------------------------------------------


def _observed(start: datetime, end: datetime) -> Iterator[Line]:
    rows = Decision.objects.filter(at__gte=start, at__lt=end).exclude(would_be="")
    things = rows.values("phone_number", "public_key").annotate(
        blocked=Count("pk", filter=Q(would_be="block")), stopped=Count("pk")
    )
    base = reverse("admin:policies_decision_changelist")
    for row in things.order_by("-blocked", "-stopped", "phone_number", "public_key")[:MOST_LINES]:
        number, key = row["phone_number"], row["public_key"]
        name = words.as_people_write(number) if number else f"The public key {key}" if key else "Web pages"
        others = row["stopped"] - row["blocked"]
        text = f"{name} would have blocked {row['blocked']:,}" if row["blocked"] else f"{name}"
        if others:
            text += f"{' and' if row['blocked'] else ' would have'} challenged or guarded {others:,}"
        yield {"text": f"{text}.", "path": base}


def _opens(now: datetime) -> Iterator[Line]:
    rows = Open.objects.filter(settled_at=None, closed_at=None, expires_at__gt=now).order_by("expires_at", "pk")
    for row in rows[:MOST_LINES]:
        until = f"{timezone.localtime(row.expires_at):%-d %b %H:%M}"
        text = f"{capital(what(row))}: open until {until}, by {row.opened_by}: “{row.reason}”"
        yield {"text": text, "path": reverse("admin:policies_open_change", args=[row.pk])}


def _unrestricted() -> Iterator[Line]:
    for policy, sides in _sides():
        every = [side for side, countries in sides.items() if countries is None]
        if every:
            ways = " and ".join("may be called from" if side == "inbound" else "may call" for side in every)
            text = f"“{policy.name}”: its {_numbers(policy)} {ways} every country but the sanctioned seven."
            yield {"text": text, "path": reverse("admin:policies_countrypolicy_change", args=[policy.pk])}


def _unused(now: datetime) -> Iterator[Line]:
    """Countries on lists of numbers with which there was no call in that direction for a month."""
    since = now - timedelta(days=UNUSED_DAYS)
    rows = UsageBucket.objects.filter(~_BLOCKED, hour__gte=since).exclude(country="")
    used = set(rows.order_by().values_list("direction", "country").distinct())
    for policy, sides in _sides():
        for side, countries in sides.items():
            idle = sorted(name_of(code) for code in countries or () if (side, code) not in used and code in NAMES)
            if not idle:
                continue
            few = ", ".join(idle[:5]) + (f" and {len(idle) - 5} more" if len(idle) > 5 else "")
            said = "may be called from" if side == "inbound" else "may call"
            text = f"“{policy.name}”: its {_numbers(policy)} {said} {few}, unused for {UNUSED_DAYS} days."
            yield {"text": text, "path": reverse("admin:policies_countrypolicy_change", args=[policy.pk])}


def _sides() -> Iterator[tuple[Any, dict[str, list[str] | None]]]:
    """Policies that numbers follow, with their countries by direction; None for every country."""
    counted = CountryPolicy.objects.annotate(numbers=Count("phone_numbers")).filter(numbers__gt=0)
    for policy in counted.select_related("current_revision").order_by("-numbers", "name", "pk")[: MOST_LINES * 4]:
        revision = policy.current_revision
        if revision is not None:
            rules = {"inbound": revision.inbound, "outbound": revision.outbound}
            yield policy, {side: _countries(rule) for side, rule in rules.items()}


def _countries(rule: dict[str, Any]) -> list[str] | None:
    if rule.get("mode") == "unrestricted":
        return None
    return [code for code in rule.get("countries", ()) if code in CODES]


def _numbers(policy: Any) -> str:
    return "number" if policy.numbers == 1 else f"{policy.numbers} numbers"


# --- What needs somebody --------------------------------------------------------------------------


def _review(now: datetime) -> Iterator[Line]:
    state = SyncTarget.State
    due = sum(standing.is_due(now) for standing in attestations.of_keys(PublicKey.objects.order_by("pk")))
    sync = SyncTarget.objects.aggregate(
        drift=Count("pk", filter=Q(state=state.DRIFT)), failed=Count("pk", filter=Q(state=state.FAILED))
    )
    numbers = "admin:policies_phonenumber_changelist"
    flagged = PhoneNumber.objects.filter(flagged_since__isnull=False, missing_since=None).count()
    trusted = ListEntry.objects.filter(list=ListEntry.List.TRUSTED, expires_at=None).count()
    kyc = KycRecord.objects.filter(state__in=WITH_US).count()
    for count, one, many, name in (
        (
            Alert.objects.filter(resolved_at=None, seen_at=None).count(),
            "alert that nobody has said they know of",
            "alerts that nobody has said they know of",
            "admin:monitoring_alert_changelist",
        ),
        (sync["failed"], "number that UponAI does not take", "numbers that UponAI does not take", numbers),
        (sync["drift"], "number changed at UponAI by somebody else", "numbers changed at UponAI", numbers),
        (flagged, "new number at UponAI to confirm", "new numbers at UponAI to confirm", numbers),
        (
            approvals.awaiting().count(),
            "change that waits for a second person",
            "changes that wait for a second person",
            "admin:policies_proposedchange_changelist",
        ),
        (kyc, "KYC case to review", "KYC cases to review", "admin:accounts_kycrecord_changelist"),
        (
            due,
            "setting in UponAI's dashboard to look at again",
            "settings in UponAI's dashboard to look at again",
            "admin:accounts_publickey_changelist",
        ),
        (
            trusted,
            "trusted entry without an end",
            "trusted entries without an end",
            "admin:policies_trusted_changelist",
        ),
    ):
        if count:
            yield {"text": f"{count} {one if count == 1 else many}", "path": reverse(name)}
