"""The gate's and the sync's work in the background. A task carries an id at most and calls one function."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from policies import bells, holds, running_calls
from policies.gate import recorder, snapshots
from policies.sync import push


@shared_task
def push_phone_number(sync_target_id: int, **_: object) -> None:
    push.push(sync_target_id, clock=timezone.now)


@shared_task
def sweep_sync_targets(**_: object) -> None:
    """Sends every row that is due: those whose bell was lost, and those whose time has come."""
    for sync_target_id in push.due_targets(now=timezone.now()):
        push.push(sync_target_id, clock=timezone.now)


@shared_task
def sweep_holds(**_: object) -> None:
    """Carries through what has run out, and rings for running calls that are due to be ended."""
    now = timezone.now()
    holds.settle_expired(now=now)
    for hold_id in running_calls.due_holds(now=now):
        bells.ring_end_calls(hold_id)


@shared_task
def end_running_calls(hold_id: int, **_: object) -> None:
    running_calls.end(hold_id, clock=timezone.now)


@shared_task
def record_decisions(**_: object) -> None:
    now = timezone.now()
    recorder.drain(now=now)
    recorder.drain_refused(now=now)


@shared_task
def publish_snapshots(**_: object) -> None:
    snapshots.publish_all()
