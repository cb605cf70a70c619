"""The span a page shows, cut into steps in the workspace's time zone. Pure; the caller brings the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby
from types import MappingProxyType
from typing import Final

HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)
LAST_HOUR, DEFAULT, CUSTOM = "1h", "24h", "custom"
LONGEST: Final = timedelta(days=92)
FIRST_YEAR, LAST_YEAR = 2000, 2199
# Minutes are counted for the last day alone; an hour is left for those who look long at one page.
BY_MINUTE_SINCE: Final = timedelta(hours=23)
BY_MINUTE_LONGEST: Final = 3 * HOUR


@dataclass(frozen=True, slots=True)
class Shape:
    """How a period is called and cut. Bars are coarser than lines, since each needs a width to be pointed at."""

    label: str
    words: str
    days: int
    bar: timedelta
    line: timedelta


SHAPES: Final = MappingProxyType(
    {
        LAST_HOUR: Shape("1 h", "in the last hour", 0, 5 * MINUTE, MINUTE),
        DEFAULT: Shape("24 h", "in the last 24 hours", 1, HOUR, HOUR),
        "7d": Shape("7 d", "in the last 7 days", 7, 6 * HOUR, HOUR),
        "30d": Shape("30 d", "in the last 30 days", 30, DAY, 6 * HOUR),
    }
)


@dataclass(frozen=True, slots=True)
class Slot:
    """One step of an axis. `short` stands below it, `long` is said when it is pointed at."""

    start: datetime
    end: datetime
    short: str
    long: str


class BadPeriod(Exception):
    """A period that cannot be shown. `field`: "from" or "to"."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, slots=True)
class Period:
    key: str
    shape: Shape
    start: datetime
    end: datetime
    zone: tzinfo
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What asks for it in an address."""

    @classmethod
    def of(cls, key: str | None, *, now: datetime, zone: tzinfo) -> Period:
        """The last hour up to the running minute, the last 24 up to the running hour, or whole local days up to
        today. Unknown keys mean 24 h."""
        key = key if key in SHAPES else DEFAULT
        shape, asked = SHAPES[key], {"period": key}
        if key == LAST_HOUR:
            end = floor_minute(now) + MINUTE
            return cls(key, shape, end - HOUR, end, zone, asked)
        end = floor_hour(now) + HOUR
        start = end - 24 * HOUR if key == DEFAULT else midnight(now, zone, days_ago=shape.days - 1)
        return cls(key, shape, start, end, zone, asked)

    @classmethod
    def between(cls, first: str, last: str, *, now: datetime, zone: tzinfo) -> Period:
        """From one local time to another, both in ISO 8601. Raises BadPeriod."""
        # In an hour that a change of the clocks repeats, the wider of both readings.
        start, end = _read("from", first, zone, fold=0), _read("to", last, zone, fold=1)
        if start >= end:
            raise BadPeriod("to", "The end must lie after the start.")
        if start >= now:
            raise BadPeriod("from", "The start lies in the future: nothing happened there yet.")
        if end - start > LONGEST:
            raise BadPeriod("from", f"Choose at most {LONGEST.days} days; the lists can show more.")
        by_minute = end - start <= BY_MINUTE_LONGEST and start >= now - BY_MINUTE_SINCE
        floored, step = (floor_minute, MINUTE) if by_minute else (floor_hour, HOUR)
        end = min(_ceil(end, step), floored(now) + step)
        start = min(floored(start), end - step)
        asked = {"period": CUSTOM, "from": _plain(first), "to": _plain(last)}
        return cls(CUSTOM, _shape(start, end, zone, by_minute=by_minute), start, end, zone, asked)

    @property
    def words(self) -> str:
        """ "in the last 24 hours", "from 3 Nov 10:00 to 4 Nov 12:00": said behind an amount."""
        return self.shape.words

    @property
    def by_minute(self) -> bool:
        return self.shape.line < HOUR

    @property
    def whole_hours(self) -> tuple[datetime, datetime]:
        """The hours it touches, for what is counted by the hour alone."""
        return floor_hour(self.start), _ceil(self.end, HOUR)

    @property
    def local_text(self) -> tuple[str, str]:
        """Start and end as a field for local times takes them."""
        first, last = (moment.astimezone(self.zone) for moment in (self.start, self.end))
        return f"{first:%Y-%m-%dT%H:%M}", f"{last:%Y-%m-%dT%H:%M}"

    @property
    def bars(self) -> list[Slot]:
        return self._slots(self.shape.bar)

    @property
    def lines(self) -> list[Slot]:
        return self._slots(self.shape.line)

    def _slots(self, each: timedelta) -> list[Slot]:
        """Cut at the local clock, so that a day with 23 or 25 hours is still one day."""
        step = MINUTE if self.by_minute else HOUR
        moments = [self.start + step * i for i in range((self.end - self.start) // step)]
        cells = groupby(moments, key=lambda moment: self._cell(moment, each))
        groups = [list(members) for _cell, members in cells]
        return [self._slot(members[0], members[-1] + step, each) for members in groups]

    def _cell(self, moment: datetime, each: timedelta) -> tuple[object, ...]:
        if each <= HOUR:
            return ((moment - floor_hour(moment)) // each, floor_hour(moment))
        local = moment.astimezone(self.zone)
        return (local.date(), local.hour // (each // HOUR))

    def _slot(self, start: datetime, end: datetime, each: timedelta) -> Slot:
        local, until = start.astimezone(self.zone), end.astimezone(self.zone)
        day = f"{local:%a} {local.day} {local:%b}"
        if each == MINUTE:
            long = f"{day}, {local:%H:%M}"
        else:
            long = day if each == DAY else f"{day}, {local:%H:%M}–{until:%H:%M}"
        return Slot(start, end, self._short(local), long)

    def _short(self, local: datetime) -> str:
        """The label that a step stands below: of round minutes or hours, every day, or every Monday."""
        length = self.end - self.start
        if self.by_minute:
            return self._labelled(local, local.minute % (10 if length <= HOUR else 30) * MINUTE, "%H:%M")
        if length <= DAY:
            return self._labelled(local, local.hour % 3 * HOUR, "%H:%M")
        if self.shape.bar == HOUR:
            return self._labelled(local, local.hour % 6 * HOUR, "%a %H:%M")
        if self.shape.bar < DAY:
            return f"{local:%a} {local.day}"
        monday = local.date() - timedelta(days=local.weekday())
        return f"{monday.day} {monday:%b}" if monday >= self.start.astimezone(self.zone).date() else ""

    def _labelled(self, local: datetime, past: timedelta, form: str) -> str:
        labelled = local - past
        return f"{labelled:{form}}" if labelled >= self.start else ""


def _shape(start: datetime, end: datetime, zone: tzinfo, *, by_minute: bool) -> Shape:
    first, last = start.astimezone(zone), end.astimezone(zone)
    until = f"{last:%H:%M}" if first.date() == last.date() else _spoken(last)
    words = f"from {_spoken(first)} to {until}"
    length, days = end - start, (end - start) // DAY
    if by_minute:
        return Shape("", words, days, (5 if length <= HOUR else 15) * MINUTE, MINUTE)
    if length <= 2 * DAY:
        return Shape("", words, days, HOUR, HOUR)
    if length <= 14 * DAY:
        return Shape("", words, days, 6 * HOUR, HOUR)
    return Shape("", words, days, DAY, 6 * HOUR)


def _spoken(local: datetime) -> str:
    return f"{local.day} {local:%b} {local:%H:%M}"


def _plain(text: str) -> str:
    """What was read, without what the reading overlooked."""
    return f"{datetime.fromisoformat(text.strip()):%Y-%m-%dT%H:%M}"


def _read(field: str, text: str, zone: tzinfo, *, fold: int) -> datetime:
    which = "start" if field == "from" else "end"
    try:
        found = datetime.fromisoformat(text.strip())
        if found.tzinfo is not None:  # offsets are not what anybody means here
            raise ValueError
    except ValueError:
        raise BadPeriod(field, f"The {which} is not a date and time, such as 2026-03-04 07:30.") from None
    if found.year < FIRST_YEAR:
        raise BadPeriod(field, f"The {which} lies too far back: nothing is known of before {FIRST_YEAR}.")
    if found.year > LAST_YEAR:
        raise BadPeriod(field, f"The {which} lies too far ahead: the last year is {LAST_YEAR}.")
    return found.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def floor_minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def floor_hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _ceil(moment: datetime, step: timedelta) -> datetime:
    floored = floor_hour(moment) if step == HOUR else floor_minute(moment)
    return floored if floored == moment else floored + step


def midnight(now: datetime, zone: tzinfo, *, days_ago: int = 0) -> datetime:
    """The first whole UTC hour of a local day: buckets begin at whole hours, whatever the zone."""
    local = (now.astimezone(zone) - timedelta(days=days_ago)).date()
    start = datetime(local.year, local.month, local.day, tzinfo=zone).astimezone(UTC)
    floored = floor_hour(start)
    return floored if floored == start else floored + HOUR
