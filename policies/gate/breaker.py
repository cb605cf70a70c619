"""Leaves a service that does not answer alone for a while, so that nobody waits for it meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

FAILURES_BEFORE_REST = 3
REST_SECONDS = 5.0


class Resting(Exception):
    """The service failed several times in a row and is not asked again yet."""


class Breaker:
    """One service as one process sees it. After a rest, one request at a time finds out how it is."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._failures = 0
        self._rests_until = 0.0
        self._is_tried = False

    @property
    def is_well(self) -> bool:
        return self._failures == 0

    @contextmanager
    def trying(self, failure: type[Exception]) -> Iterator[None]:
        """What happens inside fails by raising `failure`; any other exception says nothing. Raises Resting."""
        is_trial = self._enter()
        try:
            yield
        except failure as trouble:
            self._failed(trouble)
            raise
        else:
            self._failures = 0
        finally:
            if is_trial:
                self._is_tried = False

    def reset(self) -> None:
        """Forgets all failures."""
        self._failures, self._rests_until, self._is_tried = 0, 0.0, False

    def _enter(self) -> bool:
        with self._lock:
            if self._failures < FAILURES_BEFORE_REST:
                return False
            if self._is_tried or time.monotonic() < self._rests_until:
                raise Resting(self._name)
            self._is_tried = True
            return True

    def _failed(self, trouble: Exception) -> None:
        with self._lock:
            self._failures += 1
            failures, self._rests_until = self._failures, time.monotonic() + REST_SECONDS
        if failures == FAILURES_BEFORE_REST:
            logger.error("%s failed %s times in a row (%s); left alone for a while.", self._name, failures, trouble)
        elif failures < FAILURES_BEFORE_REST:
            logger.warning("%s did not answer: %s.", self._name, trouble)
