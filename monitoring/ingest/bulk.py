"""Many rows in one statement, without what Django spends on each; for tables that are written by the thousand.

The values of a row come in the order of `columns`, as Django would hand them to the database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from django.db import connection, models

Row = Sequence[Any]


def insert_new(model: type[models.Model], values: Mapping[str, Any]) -> None:
    """Inserts one row, unless it is there already. One statement, which is a transaction by itself."""
    columns = tuple(values)
    names, marks = ", ".join(_quoted(model, column) for column in columns), ", ".join(["%s"] * len(columns))
    table = connection.ops.quote_name(model._meta.db_table)
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608  (our own names)
    (row,) = _adapted(model, columns, [tuple(values.values())]) if connection.vendor == "sqlite" else [values.values()]
    with connection.cursor() as cursor:
        cursor.execute(statement, list(row))


def insert(model: type[models.Model], columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Inserts rows of one workspace that are not there."""
    if not rows:
        return
    statement = _insert(model, tuple(columns))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(statement, _as_json(model, columns, rows))
        else:
            cursor.executemany(statement, _adapted(model, columns, rows))


def replace(
    model: type[models.Model],
    columns: Sequence[str],
    unique: Sequence[str],
    changed: Sequence[str],
    rows: Sequence[Row],
) -> None:
    """Writes the `changed` columns of rows that are there by `unique`; what is not there is inserted."""
    if not rows:
        return
    keys = ", ".join(_quoted(model, column) for column in unique)
    values = ", ".join(f"{name} = EXCLUDED.{name}" for name in (_quoted(model, column) for column in changed))
    statement = f"{_insert(model, tuple(columns))} ON CONFLICT ({keys}) DO UPDATE SET {values}"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(statement, _as_json(model, columns, rows))
        else:
            cursor.executemany(statement, _adapted(model, columns, rows))


def _insert(model: type[models.Model], columns: tuple[str, ...]) -> str:
    names = ", ".join(_quoted(model, column) for column in columns)
    into = f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({names})"
    if connection.vendor == "postgresql":
        # One parameter for any number of rows and columns: that is sooner written and read than one for each value.
        types = ", ".join(f"{_quoted(model, column)} {_type(model, column)}" for column in columns)
        return f"{into} SELECT {names} FROM json_to_recordset(%s::json) AS given({types})"  # noqa: S608  (our own names)
    return f"{into} VALUES ({', '.join(['%s'] * len(columns))})"


def _quoted(model: type[models.Model], column: str) -> str:
    return connection.ops.quote_name(model._meta.get_field(column).column)


def _type(model: type[models.Model], column: str) -> str:
    """Without its length: a cast to that would cut silently what the column itself refuses."""
    return str(model._meta.get_field(column).rel_db_type(connection)).partition("(")[0]


def _as_json(model: type[models.Model], columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    names = [model._meta.get_field(column).column for column in columns]
    return [orjson.dumps([dict(zip(names, row, strict=True)) for row in rows], default=str).decode()]


def _adapted(model: type[models.Model], columns: Sequence[str], rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    by_column: list[Sequence[Any]] = []
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        adapt = _adapter(model, column)
        by_column.append([adapt(value) for value in values] if adapt else values)
    return list(zip(*by_column, strict=True))


@lru_cache
def _adapter(model: type[models.Model], column: str) -> Callable[[Any], Any] | None:
    """What Django does with a value of this column before SQLite gets it; None where that is nothing."""
    field = model._meta.get_field(column)
    if isinstance(field, models.JSONField):
        return lambda value: orjson.dumps(value).decode()
    if isinstance(field, models.DateTimeField):
        return _moment
    if isinstance(field, models.DecimalField):
        return f"{{:.{field.decimal_places}f}}".format
    if isinstance(field, models.UUIDField):
        return lambda value: None if value is None else field.get_db_prep_value(value, connection)
    return None


def _moment(value: datetime | None) -> str | None:
    """As Django writes it, which looks up the zone of the connection anew for each."""
    return None if value is None else value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
