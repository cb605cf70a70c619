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
    return decisions(start=start, end=end, zone=zone, verdict="block", **codes)


def calls(*, start: datetime, end: datetime | None, zone: tzinfo, **codes: str) -> str:
    return _list("admin:monitoring_call_changelist", "started_at", start, end, zone, codes)


def home(period: Period, **parameters: str) -> str:
    return f"{reverse('admin:index')}?{urlencode({'period': period.key} | parameters)}"


def panel(name: str, period: Period, **parameters: str) -> str:
    return f"{reverse(f'monitoring:panel-{name}')}?{urlencode({'period': period.key} | parameters)}"


def _list(name: str, field: str, start: datetime, end: datetime | None, zone: tzinfo, codes: dict[str, str]) -> str:
    parameters = {f"{code}__exact": value for code, value in codes.items()}
    for which, moment in (("from", start), ("to", end)):
        if moment is not None:
            local = moment.astimezone(zone)
            parameters[f"{field}_{which}_0"] = f"{local:%Y-%m-%d}"
            parameters[f"{field}_{which}_1"] = f"{local:%H:%M:%S}"
    return f"{reverse(name)}?{urlencode(parameters)}"
