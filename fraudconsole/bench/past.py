"""Years of made-up calls for PostgreSQL, written and counted in SQL: ORM rows would take hours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection, models

from accounts.countries import PRICE_PER_MINUTE
from accounts.scoping import scoped
from monitoring.models import Call, ConcurrencySample, MinuteBucket, PartyBucket, RollupProgress, UsageBucket
from policies.models import Decision

CALLS_AN_HOUR = 1142
BLOCKED_SHARE = 0.05
COUNTRIES = ("US", "CA", "GB", "DE", *sorted(PRICE_PER_MINUTE.keys() - {"US", "CA", "GB", "DE"}))[:60]
_MOMENT = "%(start)s::timestamptz + make_interval(secs => %(seconds)s * i / %(times)s)"
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


def count(workspace_id: int, *, now: datetime) -> None:
    """Every rollup of that workspace anew, and progress as if nothing were left to count."""
    with connection.cursor() as cursor:
        for model in (UsageBucket, MinuteBucket, PartyBucket):
            cursor.execute(f'TRUNCATE "{model._meta.db_table}"')
        for statement in (_hours(UsageBucket, "hour"), _hours(MinuteBucket, "minute"), *map(_parties, _PARTIES)):
            cursor.execute(statement, {"workspace": workspace_id, "minutes_since": now - timedelta(days=1)})
        cursor.execute("ANALYZE")
    with scoped(workspace_id):
        newest = Decision.objects.aggregate(id=models.Max("id"))["id"]
        reached = {"decisions_until": newest or 0, "calls_until": now, "blocked_until": newest or 0}
        RollupProgress.objects.update_or_create(workspace_id=workspace_id, defaults=reached)


def sample(workspace_id: int, *, now: datetime) -> None:
    """Thirty days of how many calls ran at once, each half minute."""
    with scoped(workspace_id):
        ConcurrencySample.objects.bulk_create(
            ConcurrencySample(at=now - timedelta(seconds=30 * i), running=i * 7 % 19, limit=20, ours=i * 7 % 19)
            for i in range(30 * 24 * 120)
        )


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
        FROM policies_decision WHERE workspace_id = %(workspace)s AND verdict = 'block' {since.format("at")}
        GROUP BY workspace_id, 2, {columns}, reason"""  # noqa: S608


def _parties(column: str) -> str:
    """Of the other side the busiest of each hour alone, as `ingest.parties` keeps them."""
    kept = f"WHERE place <= {PEERS_KEPT}" if _PARTIES[column] else ""
    return f"""
        INSERT INTO monitoring_partybucket
            (workspace_id, hour, kind, value, country, outcome, calls, seconds, cost_cents)
        SELECT workspace_id, hour, '{column}', value, '', outcome, calls, seconds, cents FROM (
            SELECT *, row_number() OVER (PARTITION BY hour, outcome = 'blocked' ORDER BY calls DESC, value) AS place
            FROM (
                SELECT workspace_id, date_trunc('hour', started_at) AS hour, {column} AS value, {_OUTCOME} AS outcome,
                       count(*) AS calls, sum(duration_ms) / 1000 AS seconds, sum(cost_cents) AS cents
                FROM monitoring_call WHERE workspace_id = %(workspace)s AND {column} <> '' GROUP BY 1, 2, 3, 4
                UNION ALL
                SELECT workspace_id, date_trunc('hour', at), {column}, 'blocked', count(*), 0, 0
                FROM policies_decision
                WHERE workspace_id = %(workspace)s AND verdict = 'block' AND {column} <> '' GROUP BY 1, 2, 3
            ) AS counted
        ) AS placed {kept}"""  # noqa: S608


def _multiply(pattern: models.Model, changed: Mapping[str, str], times: int, span: Mapping[str, object]) -> None:
    """Copies of a row with other facts; in order of time, as they would have come."""
    table = f'"{pattern._meta.db_table}"'
    columns = [field.column for field in pattern._meta.concrete_fields if not field.primary_key]
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
