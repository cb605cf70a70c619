"""Where calls go and where blocked ones wanted to go, by the country of the other side."""

from __future__ import annotations

from collections.abc import Iterable

from accounts.countries import flag, name_of
from monitoring.dashboards import links
from monitoring.dashboards.counts import CountryTotal
from monitoring.dashboards.period import Period
from monitoring.dashboards.world_map import CountryCounts, WorldMap, world_map

MAP_ID = "world"


def countries(totals: Iterable[CountryTotal], period: Period) -> WorldMap:
    rows = [_counts(row, period) for row in totals]
    return world_map(map_id=MAP_ID, name="Calls by country", countries=rows)


def _counts(row: CountryTotal, period: Period) -> CountryCounts:
    if not row.code:
        return CountryCounts("", "No country: withheld, web or not a number", row.blocked, row.calls)
    start, end = period.whole_hours
    span = {"start": start, "end": end, "zone": period.zone, "country": row.code}
    href = links.blocked(**span) if row.blocked else links.calls(**span)
    return CountryCounts(row.code, name_of(row.code), row.blocked, row.calls, href, flag(row.code))
