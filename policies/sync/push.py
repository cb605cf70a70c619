"""Brings a phone number's country lists to UponAI, level-triggered: what is wanted now is sent whole and read back.

With them goes whether agents are bound to it, where the console has a say in that: see `bindings`.

The SyncTarget row is the schedule. One writer per number holds its lease, taken by compare-and-swap; a worker
that dies leaves a lease that ends. A 200 proves nothing: only what is read back does. A request that was left
unanswered may still be carried out, after a newer one even: so UponAI is looked at again until that cannot be.
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
from policies.sync import bindings, connection, lists
from policies.sync.connection import Waiting
from policies.sync.lists import CountryLists
from policies.uponai import client as wire
from policies.uponai.client import UponaiClient, UponaiTrouble

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
"""Longer than one request can take with its wait for the budget; renewed before each request that changes something."""
FIRST_BACKOFF_SECONDS = 2.0
LONGEST_BACKOFF_SECONDS = 300.0
SAID_YES = "UponAI said yes, but still shows other lists."
LATE = "A change that UponAI had left unanswered was carried out late; the lists are sent once more."
LOOKS_AFTER = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 60, 300))
"""When UponAI is looked at again after a request was left unanswered, though all seems well by then."""
NEXT_LOOK_SECONDS = (5.0, 10.0)

State = SyncTarget.State
Clock = Callable[[], datetime]


class LeaseLost(Exception):
    """Another worker took the number over; whoever had it before stops."""


@dataclass(slots=True)
class Lease:
    """The right to write one number's lists, with the generation and the lists wanted when it was taken."""

    target: SyncTarget
    wanted: CountryLists
    token: uuid.UUID
    only_look: bool
    unsure: bool = False  # whether UponAI left a change unanswered under this lease

    def rows(self) -> models.QuerySet[SyncTarget]:
        """The row, as long as the lease is still ours."""
        return SyncTarget.objects.filter(pk=self.target.pk, lease_token=self.token)

    def renew(self, now: datetime) -> None:
        if not self.rows().update(lease_until=now + LEASE):
            raise LeaseLost(self.target.pk)


FREE: dict[str, Any] = {"lease_until": None, "lease_token": None}


def push(sync_target_id: int, *, clock: Clock) -> bool:
    """Sends one number's lists if they are due and nobody else is sending them, or looks whether they are still there.

    True when UponAI has them.
    """
    with unscoped(reason="a due row names its workspace"):
        workspace_id = SyncTarget.objects.filter(pk=sync_target_id).values_list("workspace_id", flat=True).first()
    if workspace_id is None:
        return False
    try:
        with connection.client(workspace_id, clock=clock) as uponai:
            lease = _claim(sync_target_id, now=clock())
            return lease is not None and _carry_out(lease, uponai, clock)
    except Waiting as waiting:
        with scoped(workspace_id):
            _say(SyncTarget.objects.filter(pk=sync_target_id, due_at__isnull=False), str(waiting))
        return False


def to_do(now: datetime) -> models.Q:
    """Rows that are due to be sent or to be looked at, and that nobody works on."""
    return (models.Q(due_at__lte=now) | models.Q(verify_at__lte=now)) & _free(now)


def retry(*, sync_target: SyncTarget, acting_user: Acting, now: datetime) -> None:
    """Makes a number's sync due at once, whatever happened before."""
    with workspaces.taking_turns(sync_target.workspace_id):
        SyncTarget.objects.filter(pk=sync_target.pk).update(due_at=now, attempts=0, error="", state=State.PENDING)
        audit.record(
            workspace_id=sync_target.workspace_id,
            action="sync.retry",
            subject=sync_target.phone_number,
            acting_user=acting_user,
            now=now,
        )
        transaction.on_commit(lambda: bells.ring_push([sync_target.pk]))


def _free(now: datetime) -> models.Q:
    return models.Q(lease_until=None) | models.Q(lease_until__lt=now)


def _claim(sync_target_id: int, *, now: datetime) -> Lease | None:
    mine = {"lease_until": now + LEASE, "lease_token": uuid.uuid4()}
    row = SyncTarget.objects.filter(to_do(now), pk=sync_target_id)
    # Whoever let the lease run out has died, and may have left a request under way.
    died = {"state": State.UNKNOWN, "due_at": now, "unsure_since": now, "verify_step": 0}
    untouched, left = row.filter(lease_until=None), row.filter(lease_until__lt=now)
    if not untouched.update(**mine) and not left.update(**mine, **died):
        return None
    target = SyncTarget.objects.select_related("phone_number__policy__current_revision").get(pk=sync_target_id)
    only_look = target.due_at is None or target.due_at > now
    # The generation was read before the holds: one that is imposed in between makes the row due once more.
    return Lease(target, lists.desired_of(target, now=now), mine["lease_token"], only_look)


def _carry_out(lease: Lease, uponai: UponaiClient, clock: Clock) -> bool:
    try:
        if lease.only_look:
            shown = uponai.get_phone_number(lease.target.phone_number.e164)
            observed = lists.observed(shown)
            if _is_still_there(lease.target, observed, shown, uponai):
                return _confirm(lease, observed, now=clock())
            _note_reversal(lease, observed, now=clock())
        return _settle(lease, _send_and_read_back(lease, uponai, clock), now=clock())
    except LeaseLost:
        logger.warning("%s: taken over by another worker.", lease.target.phone_number.e164)
    except Waiting as waiting:
        _wait(lease, waiting, now=clock())
    except UponaiTrouble as trouble:
        if lease.only_look and not trouble.permanent:
            _look_later(lease, trouble, now=clock())
        else:
            _postpone(lease, trouble, now=clock())
    return False


def _is_still_there(target: SyncTarget, observed: CountryLists, shown: dict[str, Any], uponai: UponaiClient) -> bool:
    number = target.phone_number
    for name in bindings.WEBHOOKS:
        setattr(number, name, str(shown.get(name) or ""))
    return lists.of_json(target.applied).same_as(observed) and not bindings.changes(number, uponai)


def _send_and_read_back(lease: Lease, uponai: UponaiClient, clock: Clock) -> CountryLists:
    number = lease.target.phone_number
    agents = bindings.changes(number, uponai)
    lease.renew(clock())
    try:
        uponai.update_phone_number(number.e164, lease.wanted.update_body() | agents)
    except UponaiTrouble as trouble:
        lease.unsure = trouble.ambiguous
        raise
    shown = uponai.get_phone_number(number.e164)
    bindings.settle(number, agents, shown, unsure=_is_unsure(lease.target, clock()))
    return lists.observed(shown)


def _is_unsure(target: SyncTarget, now: datetime) -> bool:
    """Whether a request that was left unanswered may still be carried out."""
    return target.unsure_since is not None and now < target.unsure_since + LOOKS_AFTER[-1]


def _settle(lease: Lease, observed: CountryLists, *, now: datetime) -> bool:
    desired = lease.wanted
    if not desired.same_as(observed):
        trouble = UponaiTrouble(SAID_YES)
        seen = {"observed": observed.as_json(), "verified_at": now, "drift_since": lease.target.drift_since or now}
        _postpone(lease, trouble, now=now, state=State.DRIFT, **seen)
        return False
    generation = lease.target.desired_generation
    facts = {
        "applied_generation": generation,
        "applied": desired.as_json(),
        "applied_at": now,
        "observed": observed.as_json(),
        "verified_at": now,
        "drift_since": None,
        "attempts": 0,
        "error": "",
        **FREE,
        **_looks(lease.target.unsure_since, now),
    }
    if (
        lease.rows()
        .filter(desired_generation=generation)
        .update(**facts, state=State.SYNCED, due_at=None, urgent=False)
    ):
        return True
    # Edited meanwhile: the row is due again, and this time with the newer lists.
    if lease.rows().update(**facts, due_at=now):
        bells.ring_push([lease.target.pk])
    return False


def _looks(unsure_since: datetime | None, now: datetime) -> dict[str, Any]:
    """When to look again at a number that is as wanted now, but about which an earlier request was left unanswered."""
    for step, after in enumerate(LOOKS_AFTER):
        if unsure_since and now < unsure_since + after:
            return {"unsure_since": unsure_since, "verify_at": unsure_since + after, "verify_step": step}
    return {"unsure_since": None, "verify_at": None, "verify_step": 0}


def _confirm(lease: Lease, observed: CountryLists, *, now: datetime) -> bool:
    """It is still as wanted."""
    if not _is_unsure(lease.target, now):
        bindings.given_back(lease.target.phone_number)
    facts = {"observed": observed.as_json(), "verified_at": now, **FREE, **_looks(lease.target.unsure_since, now)}
    return bool(lease.rows().update(**facts))


def _note_reversal(lease: Lease, observed: CountryLists, *, now: datetime) -> None:
    """An older change arrived after a newer one. Noted first, so that it is put right even if we die of it."""
    logger.warning("%s: UponAI has other lists again; they are sent once more.", lease.target.phone_number.e164)
    found = lease.rows().update(
        state=State.DRIFT,
        due_at=now,
        observed=observed.as_json(),
        drift_since=now,
        error=LATE,
    )
    if not found:
        raise LeaseLost(lease.target.pk)
    lease.only_look = False
    lease.target.drift_since = now


def _look_later(lease: Lease, trouble: UponaiTrouble, *, now: datetime) -> None:
    logger.warning("%s: could not be looked at: %s", lease.target.phone_number.e164, trouble)
    wait = timedelta(seconds=max(random.uniform(*NEXT_LOOK_SECONDS), trouble.retry_after or 0.0))  # noqa: S311
    lease.rows().update(verify_at=now + wait, **FREE)


def _wait(lease: Lease, trouble: UponaiTrouble, *, now: datetime) -> None:
    """Gives the number back as it was: it is the workspace that has to wait, and no attempt of this number's."""
    _say(lease.rows().filter(due_at__isnull=False), str(trouble))
    lease.rows().update(**FREE, **_unsure(lease, now))


def _say(rows: models.QuerySet[SyncTarget], sentence: str) -> None:
    rows.exclude(error=sentence).update(error=sentence)


def _unsure(lease: Lease, now: datetime) -> dict[str, Any]:
    return {"unsure_since": now, "verify_step": 0, "verify_at": None} if lease.unsure else {}


def _postpone(lease: Lease, trouble: UponaiTrouble, *, now: datetime, **facts: Any) -> None:
    attempts = lease.target.attempts + (0 if trouble.status in wire.HOLDS_THE_WORKSPACE else 1)
    state = State.UNKNOWN if trouble.ambiguous else State.PENDING
    due_at = now + _backoff(attempts, trouble.retry_after)
    if trouble.permanent:
        state, due_at = State.FAILED, None
    logger.warning("%s: attempt %s: %s", lease.target.phone_number.e164, attempts, trouble)
    if not trouble.permanent:
        connection.note_trouble(lease.target.workspace_id, str(trouble), now=now)
    outcome = {"state": state, "due_at": due_at, "attempts": attempts, "error": str(trouble), "verify_at": None}
    outcome |= {**FREE, **_unsure(lease, now), **facts}
    generation = lease.target.desired_generation
    if not lease.rows().filter(desired_generation=generation).update(**outcome):
        # Edited meanwhile: the newer lists deserve a try of their own, at once.
        lease.rows().update(due_at=now, **FREE, **_unsure(lease, now))
        bells.ring_push([lease.target.pk])


def _backoff(attempts: int, retry_after: float | None) -> timedelta:
    """Full jitter: anything up to the doubled wait, so that many rows do not come back at the same moment."""
    ceiling = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** min(attempts, 16))
    wait = random.uniform(ceiling / 4, ceiling)  # noqa: S311  (jitter, no secret)
    return timedelta(seconds=max(wait, retry_after or 0.0))
