"""The span a page shows, cut into steps in the workspace's time zone. Pure; the caller brings the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby
from types import MappingProxyType
from typing import Final

HOUR: Final = timedelta(hours=1)
DEFAULT: Final = "24h"


@dataclass(frozen=True, slots=True)
class Shape:
    """How a period is called and cut. Bars are coarser than lines, since each needs a width to be pointed at."""

    label: str
    words: str
    days: int
    bar_hours: int
    line_hours: int


SHAPES: Final = MappingProxyType(
    {
        "24h": Shape("24 h", "the last 24 hours", 1, 1, 1),
        "7d": Shape("7 d", "the last 7 days", 7, 6, 1),
        "30d": Shape("30 d", "the last 30 days", 30, 24, 6),
    }
)


@dataclass(frozen=True, slots=True)
class Slot:
    """One step of an axis. `short` stands below it, `long` is said when it is pointed at."""

    start: datetime
    end: datetime
    short: str
    long: str


@dataclass(frozen=True, slots=True)
class Period:
    key: str
    shape: Shape
    start: datetime
    end: datetime
    zone: tzinfo

    @classmethod
    def of(cls, key: str | None, *, now: datetime, zone: tzinfo) -> Period:
        """The last 24 hours up to the running one, or whole local days up to today. Unknown keys mean 24 h."""
        key = key if key in SHAPES else DEFAULT
        shape = SHAPES[key]
        end = floor_hour(now) + HOUR
        start = end - 24 * HOUR if key == DEFAULT else midnight(now, zone, days_ago=shape.days - 1)
        return cls(key, shape, start, end, zone)

    @property
    def bars(self) -> list[Slot]:
        return self._slots(self.shape.bar_hours)

    @property
    def lines(self) -> list[Slot]:
        return self._slots(self.shape.line_hours)

    def _slots(self, hours_each: int) -> list[Slot]:
        """Cut at local clock hours, so that a day with 23 or 25 hours is still one day."""
        hours = [self.start + HOUR * i for i in range((self.end - self.start) // HOUR)]
        groups = groupby(hours, key=lambda hour: self._cell(hour, hours_each))
        return [self._slot(list(members), hours_each) for _cell, members in groups]

    def _cell(self, hour: datetime, hours_each: int) -> tuple[object, ...]:
        if hours_each == 1:
            return (hour,)
        local = hour.astimezone(self.zone)
        return (local.date(), local.hour // hours_each)

    def _slot(self, hours: list[datetime], hours_each: int) -> Slot:
        start, end = hours[0], hours[-1] + HOUR
        local, until = start.astimezone(self.zone), end.astimezone(self.zone)
        day = f"{local:%a} {local.day} {local:%b}"
        long = day if hours_each == 24 else f"{day}, {local:%H:%M}–{until:%H:%M}"
        return Slot(start, end, self._short(local), long)

    def _short(self, local: datetime) -> str:
        """The label that a step stands below: every third hour, every day, or every Monday."""
        if self.key == DEFAULT:
            labelled = local - HOUR * (local.hour % 3)
            return f"{labelled:%H:%M}" if labelled >= self.start else ""
        if self.key == "7d":
            return f"{local:%a} {local.day}"
        monday = local.date() - timedelta(days=local.weekday())
        return f"{monday.day} {monday:%b}" if monday >= self.start.astimezone(self.zone).date() else ""


def floor_hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def midnight(now: datetime, zone: tzinfo, *, days_ago: int = 0) -> datetime:
    """The first whole UTC hour of a local day: buckets begin at whole hours, whatever the zone."""
    local = (now.astimezone(zone) - timedelta(days=days_ago)).date()
    start = datetime(local.year, local.month, local.day, tzinfo=zone).astimezone(UTC)
    floored = floor_hour(start)
    return floored if floored == start else floored + HOUR
