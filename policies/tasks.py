"""The gate's and the sync's work in the background. A task carries an id at most and calls one function."""

from __future__ import annotations

import threading
import time
import uuid

from celery import shared_task
from django.utils import timezone

from accounts import keys
from policies import (
    approvals,
    bells,
    calls_to_end,
    connecting,
    erasures,
    holds,
    lists,
    opens,
    running_calls,
    undeclared,
)
from policies.gate import recorder, retention, snapshots
from policies.gate.outbound import unresolved
from policies.sync import drift, management, schedule

PUSHES_AT_ONCE = 4
"""Of a worker's eight threads, and for one workspace half of them. An UponAI that hangs must not keep decisions from
being recorded."""
LOOKING_SECONDS = 20.0

_desk = schedule.Desk(PUSHES_AT_ONCE)
_looking = threading.Lock()
_comparing = threading.Lock()
_managing = threading.Lock()


@shared_task
def push_phone_number(sync_target_id: int, **_: object) -> None:
    schedule.prefer(_desk, sync_target_id)
    push_due_targets()


@shared_task
def push_due_targets(**_: object) -> None:
    schedule.work(_desk, clock=timezone.now)


@shared_task
def sweep_sync_targets(**_: object) -> None:
    """Sends every row that is due: those whose bell was lost, and those whose time has come."""
    schedule.recover(now=timezone.now())
    schedule.work(_desk, clock=timezone.now)
    connecting.settle_disconnections(now=timezone.now())


@shared_task
def sweep_drift(**_: object) -> None:
    """Rings for each workspace whose numbers are to be compared with UponAI."""
    for workspace_id in drift.due(now=timezone.now()):
        bells.ring(drift.TASK, workspace_id=workspace_id)


@shared_task
def check_drift(workspace_id: int, **_: object) -> None:
    """One workspace at a time in a process: the others' turn comes with the next sweep."""
    if not _comparing.acquire(blocking=False):
        return
    try:
        drift.check_if_due(workspace_id, clock=timezone.now)
    finally:
        _comparing.release()


@shared_task
def sweep_holds(**_: object) -> None:
    """Carries through what has run out, and rings for running calls that are due to be ended."""
    now = timezone.now()
    for exceptions in (holds, opens, lists):
        exceptions.settle_expired(now=now)
    approvals.settle(now=now)
    for hold_id in running_calls.due_holds(now=now):
        bells.ring_end_calls(hold_id)
    for decision_id in calls_to_end.due(now=now):
        bells.ring(calls_to_end.TASK, decision_id=str(decision_id))


@shared_task
def sweep_declared_use(**_: object) -> None:
    undeclared.review_due(now=timezone.now())


@shared_task
def forget_erased_subjects(**_: object) -> None:
    erasures.forget_due(now=timezone.now())


@shared_task
def retire_public_keys(**_: object) -> None:
    keys.retire_public_keys(now=timezone.now())


@shared_task
def end_running_calls(hold_id: int, **_: object) -> None:
    running_calls.end(hold_id, clock=timezone.now)


@shared_task
def sweep_dials(**_: object) -> None:
    """Finds out what became of dials that UponAI did not answer."""
    ends_at = time.monotonic() + LOOKING_SECONDS
    if not _looking.acquire(blocking=False):
        return
    try:
        for dial_id in unresolved.due_dials(now=timezone.now()):
            unresolved.resolve(dial_id, clock=timezone.now)
            if time.monotonic() > ends_at:
                break
    finally:
        _looking.release()


@shared_task
def sweep_managed_records(**_: object) -> None:
    """Brings public keys and KYC statuses to UponAI, where an API for that is assumed."""
    if _managing.acquire(blocking=False):
        try:
            management.sweep(clock=timezone.now, seconds=LOOKING_SECONDS)
        finally:
            _managing.release()


@shared_task
def end_call(decision_id: str, **_: object) -> None:
    calls_to_end.end(uuid.UUID(decision_id), clock=timezone.now)


@shared_task
def record_decisions(**_: object) -> None:
    now = timezone.now()
    recorder.drain(now=now)
    recorder.drain_refused(now=now)


@shared_task
def publish_snapshots(**_: object) -> None:
    snapshots.publish_all()


@shared_task
def forget_attempts(**_: object) -> None:
    while retention.forget_old(now=timezone.now()):
        pass
