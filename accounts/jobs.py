"""Periodic work that must happen once in each of its periods: whoever comes first claims the period's slot.

So two beats do no harm. A slot that nobody claimed is not made up for: the work looks at rows, and finds them the
next time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction

from accounts.models import JobSlot

KEPT = timedelta(days=7)


def claim(job: str, period: timedelta, now: datetime) -> JobSlot | None:
    """The slot that `now` is in, for the first who asks; None for everybody else."""
    slot = slot_of(period, now)
    if JobSlot.objects.filter(job=job, slot=slot).exists():
        return None
    try:
        with transaction.atomic():
            claimed = JobSlot.objects.create(job=job, slot=slot, claimed_at=now)
    except IntegrityError:
        return None
    JobSlot.objects.filter(job=job, slot__lt=now - max(KEPT, 2 * period)).delete()
    return claimed


def slot_of(period: timedelta, now: datetime) -> datetime:
    """When the period that `now` is in began. Periods are counted in UTC, so that no clock change moves them."""
    seconds = period.total_seconds()
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)
