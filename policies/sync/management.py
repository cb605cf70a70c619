"""Brings UponAI's own public keys and subjects' KYC statuses to UponAI, where an API for that is assumed.

Level-triggered, as `push` is: what rows say now is compared with what was wanted last, and what differs is due. The
ManagedRecord is the schedule; one writer holds its lease; only what is read back counts. The console's own gate keys
are told to nobody: a key that UponAI knew as well would lead past the gate.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import models

from accounts.models import KycRecord, PublicKey, UponaiKey, Workspace
from accounts.scoping import scoped, unscoped
from policies.models import ManagedRecord
from policies.sync import connection
from policies.uponai import management as api
from policies.uponai.client import TOTAL_SECONDS, UponaiTrouble

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=5 * TOTAL_SECONDS)  # longer than the three requests of one record can take
FIRST_BACKOFF_SECONDS = 2.0
LONGEST_BACKOFF_SECONDS = 300.0
WAITS = timedelta(seconds=5)
"""At the least, for a workspace whose connection is closed for now."""
REFUSED_FOR = timedelta(hours=1)
"""What UponAI refuses it will refuse again, until somebody changes something there that we cannot see."""
LOOK_AGAIN = {api.PUBLIC_KEY: timedelta(minutes=15), api.KYC_STATUS: timedelta(days=1)}
"""Somebody may change it there. Keys are few and open doors; subjects are many, and are told for the record."""
COMPARE_ALL_EVERY = 15 * 60.0
AT_MOST = 500

Clock = Callable[[], datetime]
Wanted = dict[tuple[str, int], tuple[str, api.Facts | None]]
"""By kind and row: what UponAI calls it, and what it is to have of it."""

_compared: dict[int, tuple[int, float]] = {}
"""By workspace: the snapshot's version when it was last compared, and the process's time of that."""


def sweep(*, clock: Clock, seconds: float) -> int:
    """Finds what changed and brings what is due, oldest first, for so many seconds. Answers how many arrived."""
    if not api.is_assumed():
        return 0
    ends_at = time.monotonic() + seconds
    note_changes(now=clock())
    arrived = 0
    for record_id in due_records(now=clock()):
        arrived += bring(record_id, clock=clock)
        if time.monotonic() > ends_at:
            break
    return arrived


def note_changes(*, now: datetime, all_of_them: bool = False) -> None:
    """Makes due what is wanted otherwise than it was, and what has not been looked at for long.

    Every change of a key or a KYC status has a new version of the gate's snapshot, so only workspaces with one are
    read; now and then all are, since nothing is to hang on that.
    """
    with unscoped(reason="the sweep serves every workspace"):
        with_key = UponaiKey.objects.filter(verifies_until=None).values("workspace_id")
        versions = dict(Workspace.objects.filter(pk__in=with_key).values_list("pk", "snapshot_version"))
        for kind, age in LOOK_AGAIN.items():
            old = ManagedRecord.objects.filter(kind=kind, due_at=None, applied_at__lt=now - age)
            old.update(due_at=now)
    for workspace_id, version in versions.items():
        known, compared_at = _compared.get(workspace_id, (-1, 0.0))
        if all_of_them or known != version or time.monotonic() - compared_at > COMPARE_ALL_EVERY:
            with scoped(workspace_id):
                _compare(workspace_id, now=now)
            _compared[workspace_id] = (version, time.monotonic())


def due_records(*, now: datetime) -> list[int]:
    with unscoped(reason="the sweep serves every workspace"):
        rows = _free(ManagedRecord.objects.filter(due_at__lte=now), now=now)
        return list(rows.order_by("due_at", "pk").values_list("pk", flat=True)[:AT_MOST])


def waiting(*, now: datetime) -> int:
    """How many records are on their way to UponAI. What it refuses for good is not."""
    if not api.is_assumed():
        return 0
    soon = now + timedelta(seconds=LONGEST_BACKOFF_SECONDS)
    with unscoped(reason="the sweep serves every workspace"):
        with_key = UponaiKey.objects.filter(verifies_until=None).values("workspace_id")
        return int(ManagedRecord.objects.filter(due_at__lte=soon, workspace__in=with_key).count())


def bring(record_id: int, *, clock: Clock) -> bool:
    """Brings one record, if it is due and nobody else is at it. True when UponAI has what is wanted."""
    if not api.is_assumed():
        return False
    with unscoped(reason="a due row names its workspace"):
        workspace_id = ManagedRecord.objects.filter(pk=record_id).values_list("workspace_id", flat=True).first()
    if workspace_id is None:
        return False
    with scoped(workspace_id):
        lease = _claim(record_id, now=clock())
        if lease is None:
            return False
        try:
            _send_and_read_back(lease.row, clock)
        except connection.Waiting as waiting:
            _wait(lease, waiting, now=clock())
            return False
        except UponaiTrouble as trouble:
            _postpone(lease, trouble, now=clock())
            return False
        return _settle(lease, now=clock())


def of_key(public_key: PublicKey) -> ManagedRecord | None:
    """How far a public key is; None where there is nothing to tell, or nobody to be told."""
    if not api.is_assumed():
        return None
    return ManagedRecord.objects.filter(kind=api.PUBLIC_KEY, record_id=public_key.pk).first()


# --- What is wanted -------------------------------------------------------------------------------


def _compare(workspace_id: int, *, now: datetime) -> None:
    wanted = _wanted_keys() | _wanted_statuses(now)
    there = {(row.kind, row.record_id): row for row in ManagedRecord.objects.all()}
    ManagedRecord.objects.bulk_create(
        [
            ManagedRecord(
                workspace_id=workspace_id,
                kind=kind,
                record_id=record_id,
                name=name,
                wanted=facts,
                wanted_at=now,
                due_at=now,
            )
            for (kind, record_id), (name, facts) in wanted.items()
            if facts is not None and (kind, record_id) not in there
        ],
        ignore_conflicts=True,  # of two sweeps that find the same, one writes it
    )
    for place, row in there.items():
        name, facts = wanted.get(place, (row.name, None))
        # Under another name it is another record: this one goes, and the next comparison makes the new one.
        facts = facts if name == row.name else None
        if facts != row.wanted:
            ManagedRecord.objects.filter(pk=row.pk).update(
                wanted=facts, wanted_at=now, due_at=now, attempts=0, error=""
            )


def _wanted_keys() -> Wanted:
    wanted: Wanted = {}
    for key in PublicKey.objects.filter(kind=PublicKey.Kind.UPONAI):
        facts = None
        if key.status == PublicKey.Status.ACTIVE:
            has_recaptcha = key.captcha == PublicKey.Captcha.RECAPTCHA_V3
            facts = api.public_key_facts(
                domains=key.domains,
                fraud_protection=key.fraud_protection,
                recaptcha_threshold=key.captcha_threshold if has_recaptcha else None,
            )
        wanted[api.PUBLIC_KEY, key.pk] = (key.key, facts)
    return wanted


def _wanted_statuses(now: datetime) -> Wanted:
    """Of whoever was approved or refused once; of nobody whose case is only being looked at."""
    State = KycRecord.State
    told = (State.APPROVED, State.EXPIRED, State.SUSPENDED, State.REJECTED)
    rows = KycRecord.objects.filter(state__in=told, subject__erased_at=None)
    levels: dict[tuple[int, str], int] = {}
    for subject, name, level, state, ends in rows.values_list(
        "subject_id", "subject__reference", "level", "state", "expires_at"
    ):
        counts = state == State.APPROVED and (ends is None or now < ends)
        levels[subject, name] = max(levels.get((subject, name), 0), level if counts else 0)
    return {(api.KYC_STATUS, subject): (name, api.kyc_facts(level)) for (subject, name), level in levels.items()}


# --- One record -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Lease:
    """The right to write one record, with what was wanted when it was taken."""

    row: ManagedRecord
    token: uuid.UUID

    def rows(self) -> models.QuerySet[ManagedRecord]:
        """The row, as long as the lease is still ours."""
        return ManagedRecord.objects.filter(pk=self.row.pk, lease_token=self.token)

    def unchanged(self) -> models.QuerySet[ManagedRecord]:
        return self.rows().filter(wanted_at=self.row.wanted_at)


def _free(rows: models.QuerySet[ManagedRecord], *, now: datetime) -> models.QuerySet[ManagedRecord]:
    return rows.filter(models.Q(lease_until=None) | models.Q(lease_until__lt=now))


def _claim(record_id: int, *, now: datetime) -> _Lease | None:
    token = uuid.uuid4()
    due = _free(ManagedRecord.objects.filter(pk=record_id, due_at__lte=now), now=now)
    if not due.update(lease_until=now + LEASE, lease_token=token):
        return None
    return _Lease(ManagedRecord.objects.get(pk=record_id), token)


def _send_and_read_back(row: ManagedRecord, clock: Clock) -> None:
    with connection.client(row.workspace_id, clock=clock, only_assumed=True) as client:
        seen = api.read(client, row.kind, row.name)
        if api.same(row.wanted, seen):
            return
        api.write(client, row.kind, row.name, row.wanted, is_there=seen is not None)
        if not api.same(row.wanted, api.read(client, row.kind, row.name)):
            raise UponaiTrouble("UponAI said yes, but still shows something else.")


def _settle(lease: _Lease, *, now: datetime) -> bool:
    wanted = lease.row.wanted
    if wanted is None and lease.unchanged().delete()[0]:
        return True  # nothing is left to be told, and nobody's name is kept for it
    settled = {
        "applied": wanted,
        "applied_at": now,
        "attempts": 0,
        "error": "",
        "lease_until": None,
        "lease_token": None,
    }
    if lease.unchanged().update(**settled, due_at=None):
        return True
    # Changed meanwhile: what is wanted now is brought next.
    lease.rows().update(**settled, due_at=now)
    return False


def _wait(lease: _Lease, waiting: connection.Waiting, *, now: datetime) -> None:
    """Nothing was sent: that is no failed attempt, and it is for the workspace's connection to say for how long."""
    until = max(waiting.until or now, now + WAITS)
    free = {"lease_until": None, "lease_token": None}
    if not lease.unchanged().update(due_at=until, error=str(waiting), **free):
        lease.rows().update(due_at=until, **free)


def _postpone(lease: _Lease, trouble: UponaiTrouble, *, now: datetime) -> None:
    attempts = lease.row.attempts + 1
    logger.warning("%s %s: attempt %s: %s", lease.row.kind, lease.row.record_id, attempts, trouble)
    due_at = now + (REFUSED_FOR if trouble.permanent else _backoff(attempts, trouble.retry_after))
    free = {"lease_until": None, "lease_token": None}
    if not lease.unchanged().update(due_at=due_at, attempts=attempts, error=str(trouble), **free):
        lease.rows().update(due_at=now, **free)


def _backoff(attempts: int, retry_after: float | None) -> timedelta:
    """With full jitter, as that of `push`."""
    ceiling = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** min(attempts, 16))
    wait = random.uniform(ceiling / 4, ceiling)  # noqa: S311  (jitter, no secret)
    return timedelta(seconds=max(wait, retry_after or 0.0))
