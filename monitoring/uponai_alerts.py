"""Alerts that UponAI raises itself and tells by webhook: shown beside ours, once for each of its incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.urls import reverse

from accounts.scoping import scoped
from monitoring.models import Alert

EVENT: Final = "alert_triggered"
LASTS: Final = timedelta(hours=24)
"""UponAI tells when an alert of its own begins and never when it ends, so it counts as over a day later."""
LONGEST_SENTENCE: Final = 1000
MOST_DETAILS: Final = 20


@dataclass(frozen=True, slots=True)
class UponaiAlert:
    """What such a webhook told."""

    payload: Mapping[str, Any]


def note(workspace_id: int, event: UponaiAlert, *, now: datetime) -> None:
    """Raises it as an alert of ours. One that names nothing has no effect."""
    told = event.payload.get("alert")
    if not isinstance(told, dict):
        return
    about = (
        _text(told.get("alert_incident_id"))
        or f"{_text(told.get('alert_rule_id'))} {int(_told_at(told, now).timestamp())}"
    )
    with scoped(workspace_id):
        if Alert.objects.filter(kind=Alert.Kind.UPONAI, about=about).exists():
            return
        row = Alert(
            workspace_id=workspace_id,
            kind=Alert.Kind.UPONAI,
            about=about,
            sentence=_uponai_sentence(told)[:LONGEST_SENTENCE],
            path=reverse("admin:monitoring_call_changelist"),
            details={name: _plain(value) for name, value in list(told.items())[:MOST_DETAILS]},
            raised_at=_told_at(told, now),
            mail_due_at=now,
        )
        Alert.objects.bulk_create([row], ignore_conflicts=True)


def _uponai_sentence(told: Mapping[str, Any]) -> str:
    name = _text(told.get("name")) or "an alert without a name"
    sentence = f"UponAI raised an alert of its own: {name}"
    metric, value, threshold = (told.get(part) for part in ("metric_type", "current_value", "threshold_value"))
    if metric and value is not None:
        sentence += f". {_text(metric).replace('_', ' ').capitalize()} is {_text(value)}"
        if threshold is not None:
            sentence += f" (set: {_text(told.get('comparator'))} {_text(threshold)})".replace("  ", " ")
        if told.get("window"):
            sentence += f" within {_text(told['window'])}"
    return f"{sentence}."


def _told_at(told: Mapping[str, Any], now: datetime) -> datetime:
    """When it was raised, as UponAI says; now where that makes no sense."""
    stamp = told.get("triggered_timestamp")
    if isinstance(stamp, int) and not isinstance(stamp, bool) and 0 < stamp < 10**14:
        at = datetime.fromtimestamp(stamp / 1000, UTC)
        if now - LASTS < at <= now:
            return at
    return now


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""
    return "".join(letter for letter in text if letter.isprintable())[:160]


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) or value is None else _text(value)
