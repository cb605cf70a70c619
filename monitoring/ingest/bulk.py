"""Many rows in one statement, without what Django spends on each; for tables that are written by the thousand.

The values of a row come in the order of `columns`, as Django would hand them to the database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from django.db import connection, models

Row = Sequence[Any]


def insert_missing(model: type[models.Model], columns: Sequence[str], key: str, rows: Sequence[Row]) -> set[Any]:
    """Inserts the rows of one workspace that are not there, in their order. Answers the `key` of those it inserted."""
    if not rows:
        return set()
    position = columns.index(key)
    statement = f"{_insert(model, tuple(columns))} ON CONFLICT DO NOTHING"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"{statement} RETURNING {_quoted(model, key)}", _by_column(model, columns, rows))
            return {found for (found,) in cursor.fetchall()}
        # Whoever writes on SQLite writes alone: what was not there when this transaction looked is not there now.
        cursor.executemany(statement, _by_row(model, columns, rows))
    return {row[position] for row in rows}


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
            cursor.execute(statement, _by_column(model, columns, rows))
        else:
            cursor.executemany(statement, _by_row(model, columns, rows))


def _insert(model: type[models.Model], columns: tuple[str, ...]) -> str:
    names = ", ".join(_quoted(model, column) for column in columns)
    into = f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({names})"  # noqa: S608  (names of our own)
    if connection.vendor == "postgresql":
        # One list for each column: a statement of the same text and few parameters for any number of rows.
        lists = ", ".join(f"%s::{_type(model, column)}[]" for column in columns)
        return f"{into} SELECT * FROM unnest({lists})"
    return f"{into} VALUES ({', '.join(['%s'] * len(columns))})"


def _quoted(model: type[models.Model], column: str) -> str:
    return connection.ops.quote_name(model._meta.get_field(column).column)


def _type(model: type[models.Model], column: str) -> str:
    """Without its length: a cast to that would cut silently what the column itself refuses."""
    return str(model._meta.get_field(column).rel_db_type(connection)).partition("(")[0]


def _by_row(model: type[models.Model], columns: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    return list(zip(*_by_column(model, columns, rows), strict=True))


def _by_column(model: type[models.Model], columns: Sequence[str], rows: Sequence[Row]) -> list[list[Any]]:
    adapted: list[list[Any]] = []
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        adapt = _adapter(connection.vendor, model, column)
        adapted.append([adapt(value) for value in values] if adapt else list(values))
    return adapted


@lru_cache
def _adapter(vendor: str, model: type[models.Model], column: str) -> Callable[[Any], Any] | None:
    """What Django does with a value of this column before the database gets it; None where that is nothing."""
    field = model._meta.get_field(column)
    if isinstance(field, models.JSONField):
        return lambda value: orjson.dumps(value).decode()
    if vendor == "postgresql" or not isinstance(field, models.DateTimeField | models.DecimalField | models.UUIDField):
        return None
    return lambda value: None if value is None else field.get_db_prep_value(value, connection)
