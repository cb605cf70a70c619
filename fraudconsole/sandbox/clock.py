"""The sandbox's clock: real time, or a multiple of it from some moment on. Never set back by a change of speed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self


def real_ms() -> int:
    return int(time.time() * 1000)


@dataclass(frozen=True, slots=True)
class Clock:
    """From `real_from_ms` on, when it showed `shown_from_ms`, it runs at `speed`."""

    speed: float = 1
    real_from_ms: int = 0
    shown_from_ms: int = 0

    def now_ms(self) -> int:
        return self.shown_from_ms + round((real_ms() - self.real_from_ms) * self.speed)

    def at_speed(self, speed: float) -> Self:
        """The same clock, which from now on runs at another speed."""
        return type(self)(speed, real_ms(), self.now_ms())

    def real_seconds(self, shown_ms: float) -> float:
        """How long it really takes until it shows so many milliseconds more."""
        return shown_ms / self.speed / 1000

    def shown_ms(self, real_seconds: float) -> int:
        """How much more it shows when so many seconds have really passed."""
        return round(real_seconds * 1000 * self.speed)
