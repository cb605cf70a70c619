"""Alerts: one row for each matter as long as it lasts. Written here, by `uponai_alerts`, and its mail by `alert_mail`.

An alert is raised because rows of the rooms below say so, and resolved when they no longer do. Nothing tells of an
edge, so two beats, a worker that dies and a clock that jumps all come to the same rows.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models

from accounts import audit
from accounts.audit import Acting
from accounts.scoping import scoped, unscoped
from accounts.workspaces import taking_turns
from monitoring import alert_conditions
from monitoring.alert_conditions import Condition
from monitoring.models import Alert, Call
from monitoring.uponai_alerts import LASTS, LONGEST_SENTENCE

SAME_AGAIN: Final = timedelta(minutes=10)
"""What comes back so soon is the same alert: whatever flickers is told of once."""
KEPT: Final = timedelta(days=180)

GRAVE: Final = (Alert.Kind.KEY_REFUSED, Alert.Kind.SYNC_STOPPED, Alert.Kind.UNGATED)
"""Somebody may be getting through, or nothing of what is edited here reaches UponAI."""
LEAK: Final = {"kind": Alert.Kind.UNGATED, "about": Call.WayAround.PRIVATE_KEY}
"""Somebody starts calls with UponAI's private key: the gravest of all."""
MINOR: Final = (Alert.Kind.OPEN_ENDS, Alert.Kind.NUMBER_FLAGGED)


def watch(*, now: datetime) -> None:
    """Raises what began and resolves what is over, in every workspace. Doing it twice changes nothing."""
    wanted: dict[tuple[int, str, str], Condition] = {one.key: one for one in alert_conditions.present(now=now)}
    with unscoped(reason="alerts are raised and resolved in every workspace"):
        rows = list(Alert.objects.filter(resolved_at=None))
    there = {(row.workspace_id, row.kind, row.about): row for row in rows}
    begun: dict[int, list[Condition]] = defaultdict(list)
    for key, condition in wanted.items():
        if key not in there:
            begun[condition.workspace_id].append(condition)
    for workspace_id, conditions in begun.items():
        with scoped(workspace_id):
            _raise(conditions, now=now)
    for key, row in there.items():
        if key in wanted:
            _keep_up(row, wanted[key], now=now)
        elif row.kind != Alert.Kind.UPONAI or row.raised_at <= now - LASTS:
            _resolve(row, now=now)


def _raise(conditions: list[Condition], *, now: datetime) -> None:
    news = [condition for condition in conditions if not _raised_again(condition, now=now)]
    Alert.objects.bulk_create(
        [
            Alert(
                workspace_id=one.workspace_id,
                kind=one.kind,
                about=one.about,
                sentence=one.sentence[:LONGEST_SENTENCE],
                path=one.path,
                details=dict(one.details),
                raised_at=now,
                mail_due_at=now,
            )
            for one in news
        ],
        ignore_conflicts=True,
    )


def _raised_again(condition: Condition, *, now: datetime) -> bool:
    """Takes up an alert that was resolved a moment ago; nobody is told a second time."""
    just_over = Alert.objects.filter(
        kind=condition.kind, about=condition.about, resolved_at__gt=now - SAME_AGAIN
    ).order_by("-resolved_at")
    row = just_over.first()
    if row is None:
        return False
    open_one = Alert.objects.filter(kind=condition.kind, about=condition.about, resolved_at=None)
    if not open_one.exists():
        just_over.filter(pk=row.pk).update(resolved_at=None, sentence=condition.sentence[:LONGEST_SENTENCE])
        # It was over before its mail had gone: nobody was told a first time.
        untold = Alert.objects.filter(pk=row.pk, mailed_at=None, seen_at=None)
        untold.update(mail_due_at=now, attempts=0)
    return True


def _keep_up(row: Alert, condition: Condition, *, now: datetime) -> None:
    sentence = condition.sentence[:LONGEST_SENTENCE]
    if (row.sentence, row.path, row.details) != (sentence, condition.path, dict(condition.details)):
        with scoped(row.workspace_id):
            Alert.objects.filter(pk=row.pk, resolved_at=None).update(
                sentence=sentence,
                path=condition.path,
                details=dict(condition.details),
                **_told_anew(row, condition, now),
            )


def _told_anew(row: Alert, condition: Condition, now: datetime) -> dict[str, Any]:
    """Who said that they know, knew of the calls until then. A leak that goes on is told of again."""
    went_on = condition.details.get("calls", 0) > row.details.get("calls", 0)
    if row.kind != Alert.Kind.UNGATED or row.seen_at is None or not went_on:
        return {}
    return {"seen_at": None, "seen_by": "", "mail_due_at": now, "mailed_at": None, "attempts": 0}


def _resolve(row: Alert, *, now: datetime) -> None:
    """What is over before anybody was told of it is not mailed any more."""
    with scoped(row.workspace_id):
        Alert.objects.filter(pk=row.pk, resolved_at=None).update(resolved_at=now, mail_due_at=None)


# --- People ---------------------------------------------------------------------------------------


def mark_seen(*, alert: Alert, acting_user: Acting, now: datetime) -> Alert:
    """Notes that somebody knows: it is no longer counted as open, and not mailed if it was not yet."""
    with taking_turns(alert.workspace_id):
        row: Alert = Alert.objects.select_for_update().get(pk=alert.pk)
        if row.seen_at is not None:
            return row
        row.seen_by, row.seen_at, row.mail_due_at = audit.label_of(acting_user), now, None
        row.save(update_fields=["seen_by", "seen_at", "mail_due_at"])
        audit.record(
            workspace_id=row.workspace_id,
            action="alert.see",
            subject=row,
            acting_user=acting_user,
            now=now,
            after={"kind": row.kind, "about": row.about, "raised_at": row.raised_at},
        )
    return row


def only_open(rows: models.QuerySet[Alert]) -> models.QuerySet[Alert]:
    """Those that last and that nobody has said they know of."""
    return rows.filter(resolved_at=None, seen_at=None)


def only_closed(rows: models.QuerySet[Alert]) -> models.QuerySet[Alert]:
    return rows.exclude(resolved_at=None, seen_at=None)


def by_gravity() -> models.Case:
    """What to order by so that the gravest come first."""
    return models.Case(
        models.When(**LEAK, then=0),
        models.When(kind__in=GRAVE, then=1),
        models.When(kind__in=MINOR, then=3),
        default=2,
        output_field=models.SmallIntegerField(),
    )


def open_count() -> int:
    """How many alerts are open in the current workspace."""
    return only_open(Alert.objects.all()).count()


def forget_old(*, now: datetime) -> int:
    """Removes what was resolved long ago."""
    with unscoped(reason="old alerts of every workspace"):
        count, _ = Alert.objects.filter(resolved_at__lt=now - KEPT).delete()
    return count
