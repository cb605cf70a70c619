"""Rings that make due rows prompt. A bell that nobody hears loses nothing: a sweep finds the rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from celery import current_app
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from policies.gate import store

logger = logging.getLogger(__name__)

SINGLE_RINGS = 50
"""Up to so many rows are rung one by one; more are left to one ring of the sweep."""


def ring_push(sync_target_ids: Sequence[int]) -> None:
    if len(sync_target_ids) <= SINGLE_RINGS:
        for sync_target_id in sync_target_ids:
            if not _ring("policies.tasks.push_phone_number", sync_target_id=sync_target_id):
                return
    else:
        _ring("policies.tasks.sweep_sync_targets")


def publish_snapshot(workspace_id: int, version: int) -> None:
    """Tells every process of the gate at once that its snapshot is old."""
    try:
        store.publish_version(workspace_id, version)
    except RedisError as trouble:
        logger.warning("The gate was not told of snapshot %s: %s. The sweep will tell it.", version, trouble)


def _ring(task: str, **arguments: object) -> bool:
    try:
        current_app.send_task(task, kwargs=arguments, retry=False, ignore_result=True)
    except (OperationalError, RedisError, OSError) as trouble:
        logger.warning("The worker was not rung for %s: %s. The sweep will find the row.", task, trouble)
        return False
    return True
