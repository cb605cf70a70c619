"""Lists as files: rows in chunks as CSV that no spreadsheet executes or as JSON lines, and the audit entry of it.

The rows are read while the file is being sent, long after the request's middleware has left its scope: each chunk
enters the workspace again, and only while it is read.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import audit
from accounts.models import Workspace
from accounts.scoping import scoped

MOST_ROWS = 100_000
CHUNK = 1_000

Facts = Mapping[str, Any]

# What makes a spreadsheet calculate, at the beginning of a cell, or after what another locale takes for the end of one.
# Blanks and invisible characters before it do not count: some programs drop them.
_STARTS_A_FORMULA = re.compile(
    r"^(?=[\t\r\n])|(?:^|\r\n|[;\t\r\n])(?=[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]*[=+\-@＝＋－＠])"
)
_E164 = re.compile(r"\+[0-9]{2,15}")


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that can be exported: which rows, and how each is written."""

    name: str
    rows: QuerySet[Any]
    moment: str
    """The column that the rows are ordered by, newest first, before their id."""
    facts: Callable[[list[Any]], list[Facts]]
    """Of a chunk of rows, so that what belongs to them can be read together."""
    columns: Sequence[str]
    """The columns of the CSV file; `peer.country` is `country` within `peer`."""


def record_export(
    *,
    workspace: Workspace,
    listing: Listing,
    filters: Mapping[str, str],
    file_format: str,
    acting_user: audit.Acting,
    now: datetime,
    most_rows: int = MOST_ROWS,
) -> tuple[int, bool]:
    """Writes the audit entry before any row leaves. Answers how many rows will, and whether there are more."""
    found = listing.rows.order_by()[: most_rows + 1].count()
    count, is_capped = min(found, most_rows), found > most_rows
    what = {"list": listing.name, "filters": dict(filters), "format": file_format, "rows": count, "capped": is_capped}
    with transaction.atomic():
        audit.record(
            workspace_id=workspace.pk,
            action="workspace.export_list",
            subject=workspace,
            acting_user=acting_user,
            now=now,
            after=what,
        )
    return count, is_capped


def as_csv(listing: Listing, workspace_id: int, count: int) -> Iterator[str]:
    """A header and a line for each row; every cell is quoted and inert."""
    yield _csv_lines([listing.columns])
    for chunk in _chunks(listing, workspace_id, count):
        yield _csv_lines([[_cell(facts, column) for column in listing.columns] for facts in chunk])


def as_json_lines(listing: Listing, workspace_id: int, count: int) -> Iterator[bytes]:
    """Each row as the REST interface shows it."""
    for chunk in _chunks(listing, workspace_id, count):
        yield b"".join(orjson.dumps(facts, default=str, option=orjson.OPT_APPEND_NEWLINE) for facts in chunk)


def inert(text: str) -> str:
    """`text` so that a spreadsheet shows it and never calculates it: an apostrophe goes before what would begin a
    formula (https://owasp.org/www-community/attacks/CSV_Injection).

    A number in E.164 stays as it is, so that other programs can import it: a plus and digits alone can name no
    function and no cell, so the worst that a spreadsheet makes of it is that number without its plus.
    """
    return text if _E164.fullmatch(text) else _STARTS_A_FORMULA.sub(r"\g<0>'", text)


def _chunks(listing: Listing, workspace_id: int, count: int) -> Iterator[list[Facts]]:
    """The rows by their place in the order: no cursor stays open while somebody's slow line takes them."""
    ordered = listing.rows.order_by(f"-{listing.moment}", "-pk")
    last: Any = None
    while count > 0:
        with scoped(workspace_id), timezone.override(UTC):
            rest = ordered if last is None else ordered.filter(_older(listing.moment, last))
            rows = list(rest[: min(count, CHUNK)])
            facts = listing.facts(rows)
        if not rows:
            return
        yield facts
        last, count = rows[-1], count - len(rows)


def _older(moment: str, row: Any) -> Q:
    at = getattr(row, moment)
    # Written so that the first half alone bounds the walk through the index.
    return Q(**{f"{moment}__lte": at}) & (Q(**{f"{moment}__lt": at}) | Q(pk__lt=row.pk))


def _csv_lines(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


def _cell(facts: Facts, column: str) -> str:
    value: Any = facts
    for name in column.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return inert(" ".join(str(part) for part in value))
    return str(value) if isinstance(value, int | float) else inert(str(value))
