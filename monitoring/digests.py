"""Digests: what happened in a day or a week, written once for each workspace and period. The only writer of Digest.

The row of a period is the claim to its slot, so two beats write one. A slot that was slept through is made up for
while it is the newest.
"""

from __future__ import annotations

import logging
import zoneinfo
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from django.utils import timezone

from accounts.models import Workspace
from accounts.models.people import DigestPeriod
from accounts.scoping import scoped
from monitoring import digest_content
from monitoring.models import Digest

logger = logging.getLogger(__name__)

HOUR: Final = 7
"""When it is written, in the workspace's own time: before people begin to work."""
DAYS: Final = {DigestPeriod.DAILY.value: 1, DigestPeriod.WEEKLY.value: 7}


@dataclass(frozen=True, slots=True)
class Slot:
    """The newest period whose digest is due: whole days of the workspace's own time zone."""

    start: datetime
    end: datetime


def slot_of(period: str, zone: tzinfo, *, now: datetime) -> Slot:
    """Yesterday from seven in the morning on; last week from Monday at seven on."""
    local = now.astimezone(zone)
    written_on = local.date() if local.hour >= HOUR else local.date() - timedelta(days=1)
    if period == DigestPeriod.WEEKLY:
        written_on -= timedelta(days=written_on.weekday())
    return Slot(_midnight(written_on - timedelta(days=DAYS[period]), zone), _midnight(written_on, zone))


def write_due(*, now: datetime) -> int:
    """Writes what is due in every workspace; answers how many digests that were. One failure stops no other."""
    written = 0
    for workspace in Workspace.objects.exclude(digest_period=DigestPeriod.NEVER).order_by("pk"):
        try:
            written += write_for(workspace, now=now) is not None
        except Exception:
            logger.exception("The digest of workspace %s could not be written; trying again.", workspace.pk)
    return written


def write_for(workspace: Workspace, *, now: datetime) -> Digest | None:
    """Writes the digest that is due and has it mailed; None where there is none, or somebody has written it."""
    period, zone = workspace.digest_period, zoneinfo.ZoneInfo(workspace.time_zone)
    if period not in DAYS:
        return None
    slot = slot_of(period, zone, now=now)
    if workspace.created_at >= slot.end:
        return None
    with scoped(workspace.pk), timezone.override(zone):
        mine = Digest.objects.filter(period=period, start=slot.start)
        if mine.exists():
            return None
        content = digest_content.of(workspace, start=slot.start, end=slot.end, now=now)
        row = Digest(
            workspace=workspace,
            period=period,
            start=slot.start,
            end=slot.end,
            content=content,
            created_at=now,
            mail_due_at=now,
        )
        Digest.objects.bulk_create([row], ignore_conflicts=True)
        return mine.filter(created_at=now).first()


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)
