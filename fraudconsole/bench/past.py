"""Years of made-up calls for PostgreSQL, written and counted in SQL: ORM rows would take hours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection, models

from accounts.countries import PRICE_PER_MINUTE
from accounts.scoping import scoped
from monitoring.models import (
    BlockedCall,
    Call,
    ConcurrencySample,
    HourTotal,
    MinuteBucket,
    PartyBucket,
    RollupProgress,
    UsageBucket,
)
from policies.models import Decision

CALLS_AN_HOUR, DAYS = 1158, 36
"""A million calls."""
BLOCKED_SHARE = 0.05
COUNTRIES = ("US", "CA", "GB", "DE", *sorted(PRICE_PER_MINUTE.keys() - {"US", "CA", "GB", "DE"}))[:60]
_MOMENT = "%(start)s::timestamptz + make_interval(secs => %(seconds)s * (i - 1) / %(times)s)"
REASONS = ("country_not_allowed", "sanctioned_country", "rate_limited", "held", "captcha_failed", "kyc_required")
PEERS, KEYS = 200_000, 20
PEERS_KEPT = 100


def write(workspace_id: int, *, start: datetime, end: datetime, numbers: Sequence[str], calls: int) -> None:
    """So many calls in that span, and one blocked attempt for twenty of them."""
    facts = {
        "phone_number": f"(ARRAY[{_texts(numbers)}])[1 + floor(random() * {len(numbers)})]",
        "peer": f"'+1212' || lpad(floor(random() * {PEERS})::text, 7, '0')",
        # A few countries have most of the calls.
        "country": f"(ARRAY[{_texts(COUNTRIES)}])[1 + floor(power(random(), 4) * {len(COUNTRIES)})]",
        "direction": "CASE WHEN random() < 0.8 THEN 'inbound' ELSE 'outbound' END",
        "number_class": "CASE WHEN random() < 0.1 THEN 'fixed_line' ELSE 'mobile' END",
        "public_key": f"CASE WHEN random() < 0.3 THEN 'pk_' || floor(random() * {KEYS})::text ELSE '' END",
    }
    span = {"start": start, "seconds": (end - start).total_seconds()}
    of_calls = {
        "call_reference": "'call_' || %(start)s::text || '_' || i",
        "started_at": _MOMENT,
        "changed_at": _MOMENT,
        "duration_ms": "floor(random() * 240000)",
        "cost_cents": "random() * 40",
    }
    of_decisions = {
        "decision_id": "gen_random_uuid()",
        "at": _MOMENT,
        "recorded_at": _MOMENT,
        "reason": f"(ARRAY[{_texts(REASONS)}])[1 + floor(power(random(), 2) * {len(REASONS)})]",
    }
    with scoped(workspace_id):
        with _without_indexes(Call):
            _multiply(_a_call(start), facts | of_calls, calls, span)
        with _without_indexes(Decision):
            _multiply(_a_decision(start), facts | of_decisions, round(calls * BLOCKED_SHARE), span)
        with _without_indexes(BlockedCall), connection.cursor() as cursor:
            cursor.execute(_LISTED, {"workspace": workspace_id, "start": start, "end": end})


def repeat(workspace_id: int, *, times: int) -> None:
    """The same again before it, so many times: calls, blocked calls and their counts by the hour."""
    with connection.cursor() as cursor:
        # A day in which one month ends and another begins is added up from both.
        cursor.execute("DELETE FROM monitoring_partybucket WHERE step = 'day'")
    for model, changed in _REPEATED.items():
        table, columns = f'"{model._meta.db_table}"', _columns(model)
        values = ", ".join(changed.get(column, f't."{column}"') for column in columns)
        names = ", ".join(f'"{column}"' for column in columns)
        with _without_indexes(model), connection.cursor() as cursor:
            cursor.execute(f"SELECT max(id) FROM {table}")  # noqa: S608  (nothing of it comes from outside)
            (last,) = cursor.fetchone()
            for back in range(1, times + 1):
                cursor.execute(
                    f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} AS t "  # noqa: S608
                    "WHERE t.workspace_id = %(workspace)s AND t.id <= %(last)s ORDER BY t.id",
                    {"workspace": workspace_id, "last": last, "back": timedelta(days=DAYS * back)},
                )
    with connection.cursor() as cursor:
        for statement in map(_days, _PARTIES):
            cursor.execute(statement, {"workspace": workspace_id})
        cursor.execute("ANALYZE")


def count(workspace_id: int, *, now: datetime) -> None:
    """Every rollup of that workspace, and progress as if nothing were left to count."""
    with connection.cursor() as cursor:
        counted = (_hours(UsageBucket, "hour"), _TOTALS, _hours(MinuteBucket, "minute"))
        for statement in (*counted, *map(_parties, _PARTIES), *map(_days, _PARTIES)):
            cursor.execute(statement, {"workspace": workspace_id, "minutes_since": now - timedelta(days=1)})
        cursor.execute("ANALYZE")
    with scoped(workspace_id):
        newest, listed = (rows.objects.aggregate(id=models.Max("id"))["id"] or 0 for rows in (Decision, BlockedCall))
        reached = {"usage_blocked_until": listed, "calls_until": now, "blocked_until": newest}
        RollupProgress.objects.update_or_create(workspace_id=workspace_id, defaults=reached)


def sample(workspace_id: int, *, now: datetime) -> None:
    """Thirty days of how many calls ran at once, each half minute."""
    with scoped(workspace_id):
        ConcurrencySample.objects.bulk_create(
            ConcurrencySample(at=now - timedelta(seconds=30 * i), running=i * 7 % 19, limit=20, ours=i * 7 % 19)
            for i in range(30 * 24 * 120)
        )


_LISTED = """
    INSERT INTO monitoring_blockedcall
        (workspace_id, source, reference, at, direction, channel, reason, said, phone_number, peer, country,
         number_class, public_key, decision_id, call_reference)
    SELECT workspace_id, 'inbound', decision_id, at, direction, channel, reason, '', phone_number, peer, country,
           number_class, public_key, decision_id, call_reference
    FROM policies_decision
    WHERE workspace_id = %(workspace)s AND at >= %(start)s AND at < %(end)s AND verdict = 'block' ORDER BY at"""
_TOTALS = """
    INSERT INTO monitoring_hourtotal (workspace_id, hour, outcome, reason, calls, seconds, cost_cents)
    SELECT workspace_id, hour, outcome, reason, sum(calls), sum(seconds), sum(cost_cents)
    FROM monitoring_usagebucket WHERE workspace_id = %(workspace)s GROUP BY 1, 2, 3, 4"""


def _earlier(*moments: str) -> dict[str, str]:
    return {moment: f't."{moment}" - %(back)s' for moment in moments}


_REPEATED: Mapping[type[models.Model], Mapping[str, str]] = {
    Call: _earlier("started_at", "changed_at") | {"call_reference": "t.call_reference || ' ' || %(back)s"},
    Decision: _earlier("at", "recorded_at") | {"decision_id": "gen_random_uuid()"},
    BlockedCall: _earlier("at") | {"reference": "gen_random_uuid()", "decision_id": "gen_random_uuid()"},
    UsageBucket: _earlier("hour"),
    HourTotal: _earlier("hour"),
    PartyBucket: _earlier("hour"),
}
_PARTIES = {"phone_number": False, "public_key": False, "peer": True}
_OUTCOME = "CASE WHEN status IN ('ongoing', 'ended') OR duration_ms > 0 THEN 'connected' ELSE 'not_connected' END"


def _hours(model: type[models.Model], unit: str) -> str:
    finer = ["country", "number_class"] if model is UsageBucket else []
    columns = ", ".join(["direction", "channel", *finer])
    since = "AND {} >= %(minutes_since)s" if unit == "minute" else ""
    # Nothing of it comes from outside.
    return f"""
        INSERT INTO "{model._meta.db_table}"
            (workspace_id, {unit}, {columns}, outcome, reason, calls, seconds, cost_cents)
        SELECT workspace_id, date_trunc('{unit}', started_at), {columns}, {_OUTCOME}, '', count(*),
               sum(duration_ms) / 1000, sum(cost_cents)
        FROM monitoring_call WHERE workspace_id = %(workspace)s {since.format("started_at")}
        GROUP BY workspace_id, 2, {columns}, {_OUTCOME}
        UNION ALL
        SELECT workspace_id, date_trunc('{unit}', at), {columns}, 'blocked', reason, count(*), 0, 0
        FROM monitoring_blockedcall WHERE workspace_id = %(workspace)s {since.format("at")}
        GROUP BY workspace_id, 2, {columns}, reason"""  # noqa: S608


def _parties(column: str) -> str:
    """Of the other side the busiest of each hour alone, as `ingest.parties` keeps them."""
    kept = f"WHERE place <= {PEERS_KEPT}" if _PARTIES[column] else ""
    return f"""
        INSERT INTO monitoring_partybucket
            (workspace_id, step, hour, kind, value, country, outcome, calls, seconds, cost_cents)
        SELECT workspace_id, 'hour', hour, '{column}', value, '', outcome, calls, seconds, cents FROM (
            SELECT *, row_number() OVER (PARTITION BY hour, outcome = 'blocked' ORDER BY calls DESC, value) AS place
            FROM (
                SELECT workspace_id, date_trunc('hour', started_at) AS hour, {column} AS value, {_OUTCOME} AS outcome,
                       count(*) AS calls, sum(duration_ms) / 1000 AS seconds, sum(cost_cents) AS cents
                FROM monitoring_call WHERE workspace_id = %(workspace)s AND {column} <> '' GROUP BY 1, 2, 3, 4
                UNION ALL
                SELECT workspace_id, date_trunc('hour', at), {column}, 'blocked', count(*), 0, 0
                FROM monitoring_blockedcall
                WHERE workspace_id = %(workspace)s AND {column} <> '' GROUP BY 1, 2, 3
            ) AS counted
        ) AS placed {kept}"""  # noqa: S608


def _days(column: str) -> str:
    """From the hours, and of the other side the busiest alone, as `ingest.parties` does."""
    kept = f"WHERE place <= {PEERS_KEPT}" if _PARTIES[column] else ""
    return f"""
        INSERT INTO monitoring_partybucket
            (workspace_id, step, hour, kind, value, country, outcome, calls, seconds, cost_cents)
        SELECT workspace_id, 'day', day, '{column}', value, '', outcome, calls, seconds, cents FROM (
            SELECT *, row_number() OVER (PARTITION BY day, outcome = 'blocked' ORDER BY calls DESC, value) AS place
            FROM (
                SELECT workspace_id, date_trunc('day', hour) AS day, value, outcome, sum(calls) AS calls,
                       sum(seconds) AS seconds, sum(cost_cents) AS cents
                FROM monitoring_partybucket
                WHERE workspace_id = %(workspace)s AND kind = '{column}' AND step = 'hour' GROUP BY 1, 2, 3, 4
            ) AS counted
        ) AS placed {kept}"""  # noqa: S608


def _multiply(pattern: models.Model, changed: Mapping[str, str], times: int, span: Mapping[str, object]) -> None:
    """Copies of a row with other facts; in order of time, as they would have come."""
    table, columns = f'"{pattern._meta.db_table}"', _columns(type(pattern))
    values = [
        f"({changed[column]})::{_type(pattern, column)}" if column in changed else f'p."{column}"' for column in columns
    ]
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} "  # noqa: S608
            f"FROM generate_series(1, %(times)s) AS g(i), {table} AS p WHERE p.id = %(pattern)s",
            {**span, "times": times, "pattern": pattern.pk},
        )


def _columns(model: type[models.Model]) -> list[str]:
    return [field.column for field in model._meta.concrete_fields if not field.primary_key]


def _type(pattern: models.Model, column: str) -> str:
    field = next(field for field in pattern._meta.concrete_fields if field.column == column)
    return str(field.db_type(connection))


@contextmanager
def _without_indexes(model: type[models.Model]) -> Iterator[None]:
    """Built once over all rows instead of row by row. What must be unique stays so."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexdef NOT LIKE '%%UNIQUE%%'",
            [model._meta.db_table],
        )
        indexes = cursor.fetchall()
        for name, _definition in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        yield
        for _name, definition in indexes:
            cursor.execute(definition)


def _texts(values: Sequence[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _a_call(at: datetime) -> Call:
    facts = {"channel": "phone_call", "direction": "inbound", "status": "ended"}
    return Call.objects.create(call_reference=f"pattern {at}", started_at=at, changed_at=at, **facts)


def _a_decision(at: datetime) -> Decision:
    facts = {"channel": "phone_call", "direction": "inbound", "verdict": "block", "reason": "held"}
    return Decision.objects.create(at=at, recorded_at=at, phone_number="", **facts)
