"""Addresses of the lists behind the numbers, filtered to exactly what was counted."""

from __future__ import annotations

from datetime import datetime, tzinfo
from urllib.parse import urlencode

from django.urls import reverse

from monitoring.dashboards.period import Period


def decisions(*, start: datetime, end: datetime | None, zone: tzinfo, **codes: str) -> str:
    """`codes`: field=value, such as reason="held"."""
    return _list("admin:policies_decision_changelist", "at", start, end, zone, codes)


def blocked(*, start: datetime, end: datetime | None, zone: tzinfo, **codes: str) -> str:
    return _list("admin:monitoring_blockedcall_changelist", "at", start, end, zone, codes)


def calls(*, start: datetime, end: datetime | None, zone: tzinfo, **codes: str) -> str:
    return _list("admin:monitoring_call_changelist", "started_at", start, end, zone, codes)


def running() -> str:
    """The calls that have not ended."""
    return f"{reverse('admin:monitoring_call_changelist')}?{urlencode({'status__exact': 'ongoing'})}"


def ungated() -> str:
    """What did not pass the gate in the last 24 hours."""
    return reverse("ungated-page")


def alerts() -> str:
    return reverse("admin:monitoring_alert_changelist")


def home(period: Period, **parameters: str) -> str:
    return f"{reverse('admin:index')}?{urlencode(dict(period.parameters) | parameters)}"


def panel(name: str, period: Period, **parameters: str) -> str:
    return f"{reverse(f'monitoring:panel-{name}')}?{urlencode(dict(period.parameters) | parameters)}"


def _list(name: str, field: str, start: datetime, end: datetime | None, zone: tzinfo, codes: dict[str, str]) -> str:
    # Our numbers have a filter of their own, which also says what it found.
    parameters = {code if code == "phone_number" else f"{code}__exact": value for code, value in codes.items()}
    for which, moment in (("from", start), ("to", end)):
        if moment is not None:
            local = moment.astimezone(zone)
            parameters[f"{field}_{which}_0"] = f"{local:%Y-%m-%d}"
            parameters[f"{field}_{which}_1"] = f"{local:%H:%M:%S}"
    return f"{reverse(name)}?{urlencode(parameters)}"
