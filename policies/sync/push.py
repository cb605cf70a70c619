"""Brings a phone number's country lists to UponAI, level-triggered: what is wanted now is sent whole and read back.

With them goes whether agents are bound to it, where the console has a say in that: see `bindings`.

The SyncTarget row is the schedule. One writer per number holds its lease, taken by compare-and-swap; a worker
that dies leaves a lease that ends. A 200 proves nothing: only what is read back does.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction

from accounts import audit, workspaces
from accounts.audit import Acting
from accounts.scoping import scoped, unscoped
from policies import bells
from policies.models import SyncTarget
from policies.sync import bindings, lists
from policies.sync.lists import CountryLists
from policies.uponai.client import TOTAL_SECONDS, UponaiClient, UponaiTrouble

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=5 * TOTAL_SECONDS)  # longer than the three requests of a push can take
FIRST_BACKOFF_SECONDS = 2.0
LONGEST_BACKOFF_SECONDS = 300.0
SWEEP_AT_MOST = 500

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write one number's lists, with the generation and the lists wanted when it was taken."""

    target: SyncTarget
    wanted: CountryLists
    token: uuid.UUID

    def rows(self) -> models.QuerySet[SyncTarget]:
        """The row, as long as the lease is still ours."""
        return SyncTarget.objects.filter(pk=self.target.pk, lease_token=self.token)


def push(sync_target_id: int, *, clock: Clock) -> bool:
    """Sends one number's lists if they are due and nobody else is sending them. True when UponAI has them."""
    with unscoped(reason="a due row names its workspace"):
        workspace_id = SyncTarget.objects.filter(pk=sync_target_id).values_list("workspace_id", flat=True).first()
    if workspace_id is None:
        return False
    with scoped(workspace_id):
        lease = _claim(sync_target_id, now=clock())
        if lease is None:
            return False
        try:
            observed = _send_and_read_back(lease)
        except UponaiTrouble as trouble:
            _postpone(lease, trouble, now=clock())
            return False
        return _settle(lease, observed, now=clock())


def due_targets(*, now: datetime) -> list[int]:
    """The rows of all workspaces that are due and that nobody works on, oldest first."""
    with unscoped(reason="the sweep serves every workspace"):
        rows = _free(SyncTarget.objects.filter(due_at__lte=now), now=now)
        return list(rows.order_by("due_at", "pk").values_list("pk", flat=True)[:SWEEP_AT_MOST])


def retry(*, sync_target: SyncTarget, acting_user: Acting, now: datetime) -> None:
    """Makes a number's sync due at once, whatever happened before."""
    with workspaces.taking_turns(sync_target.workspace_id):
        SyncTarget.objects.filter(pk=sync_target.pk).update(
            due_at=now, attempts=0, error="", state=SyncTarget.State.PENDING
        )
        audit.record(
            workspace_id=sync_target.workspace_id,
            action="sync.retry",
            subject=sync_target.phone_number,
            acting_user=acting_user,
            now=now,
        )
        transaction.on_commit(lambda: bells.ring_push([sync_target.pk]))


def _free(rows: models.QuerySet[SyncTarget], *, now: datetime) -> models.QuerySet[SyncTarget]:
    return rows.filter(models.Q(lease_until=None) | models.Q(lease_until__lt=now))


def _claim(sync_target_id: int, *, now: datetime) -> Lease | None:
    token = uuid.uuid4()
    due = _free(SyncTarget.objects.filter(pk=sync_target_id, due_at__lte=now), now=now)
    if not due.update(lease_until=now + LEASE, lease_token=token):
        return None
    target = SyncTarget.objects.select_related("phone_number__policy__current_revision").get(pk=sync_target_id)
    # The generation was read before the holds: one that is imposed in between makes the row due once more.
    return Lease(target, lists.desired_of(target, now=now), token)


def _send_and_read_back(lease: Lease) -> CountryLists:
    number = lease.target.phone_number
    try:
        key = workspaces.uponai_key(lease.target.workspace_id)
    except workspaces.NoUponaiKey as missing:
        raise UponaiTrouble(str(missing)) from None
    with UponaiClient(key) as client:
        agents = bindings.changes(number, client)
        client.update_phone_number(number.e164, lease.wanted.update_body() | agents)
        shown = client.get_phone_number(number.e164)
    bindings.settle(number, agents, shown)
    return lists.observed(shown)


def _settle(lease: Lease, observed: CountryLists, *, now: datetime) -> bool:
    desired = lease.wanted
    if not desired.same_as(observed):
        trouble = UponaiTrouble("UponAI said yes, but still shows other lists.")
        seen = {"observed": observed.as_json(), "verified_at": now}
        _postpone(lease, trouble, now=now, state=SyncTarget.State.DRIFT, **seen)
        return False
    generation = lease.target.desired_generation
    facts = {
        "applied_generation": generation,
        "applied": desired.as_json(),
        "applied_at": now,
        "observed": observed.as_json(),
        "verified_at": now,
        "attempts": 0,
        "error": "",
        "lease_until": None,
        "lease_token": None,
    }
    if lease.rows().filter(desired_generation=generation).update(**facts, state=SyncTarget.State.SYNCED, due_at=None):
        return True
    # Edited meanwhile: the row is due again, and this time with the newer lists.
    lease.rows().update(**facts, due_at=now)
    bells.ring_push([lease.target.pk])
    return False


def _postpone(lease: Lease, trouble: UponaiTrouble, *, now: datetime, **facts: Any) -> None:
    attempts = lease.target.attempts + 1
    state = SyncTarget.State.UNKNOWN if trouble.ambiguous else SyncTarget.State.PENDING
    due_at = now + _backoff(attempts, trouble.retry_after)
    if trouble.permanent:
        state, due_at = SyncTarget.State.FAILED, None
    logger.warning("%s: attempt %s: %s", lease.target.phone_number.e164, attempts, trouble)
    outcome = {
        "state": state,
        "due_at": due_at,
        "attempts": attempts,
        "error": str(trouble),
        "lease_until": None,
        "lease_token": None,
    } | facts
    generation = lease.target.desired_generation
    if not lease.rows().filter(desired_generation=generation).update(**outcome):
        # Edited meanwhile: the newer lists deserve a try of their own, at once.
        lease.rows().update(due_at=now, lease_until=None, lease_token=None)
        bells.ring_push([lease.target.pk])


def _backoff(attempts: int, retry_after: float | None) -> timedelta:
    """Full jitter: anything up to the doubled wait, so that many rows do not come back at the same moment."""
    ceiling = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** min(attempts, 16))
    wait = random.uniform(ceiling / 4, ceiling)  # noqa: S311  (jitter, no secret)
    return timedelta(seconds=max(wait, retry_after or 0.0))
