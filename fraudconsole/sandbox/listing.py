"""Pages of things: cursors, limits, and the version 3 lists of calls and chats."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from typing import Any

from . import bodies
from .bodies import Body
from .conversations import Conversation, from_row
from .errors import malformed
from .filters import compile_filter
from .provider import Provider

DEFAULT_LIMIT = 50
MAX_LIMIT = 1000
NOT_IN_LISTS = ("transcript", "transcript_object", "transcript_with_tool_calls", "message_with_tool_calls")


def page_limit(value: Any) -> int:
    if value is None:
        return DEFAULT_LIMIT
    limit = bodies.whole("limit", value)
    if not 1 <= limit <= MAX_LIMIT:
        raise malformed("limit", f"must be between 1 and {MAX_LIMIT}")
    return limit


def is_descending(value: Any) -> bool:
    order: str = bodies.one_of("ascending", "descending")("sort_order", value or "descending")
    return order == "descending"


def encode_cursor(*position: int) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, length: int) -> list[int]:
    position: Any = None
    with contextlib.suppress(ValueError, binascii.Error, RecursionError):
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    if isinstance(position, list) and len(position) == length:
        numbers = [part for part in position if type(part) is int and abs(part) < 2**63]
        if len(numbers) == length:
            return numbers
    raise malformed("pagination_key", "is not one that this list has given out")


def list_conversations(provider: Provider, kind: str, body: Body) -> Body:
    limit = page_limit(body.get("limit"))
    descending = is_descending(body.get("sort_order"))
    skip = bodies.at_least(0, bodies.whole)("skip", body.get("skip") or 0)
    matches = compile_filter(body.get("filter_criteria"), kind=kind)
    cursor = body.get("pagination_key")
    after = decode_cursor(bodies.text("pagination_key", cursor), 2) if cursor else None
    bounds = _time_bounds(body.get("filter_criteria") or {})
    found: list[tuple[Conversation, int]] = []
    for row in _rows(provider, kind, descending, after, bounds):
        one = from_row(row)
        if not matches({**one.body, **one.hidden}):
            continue
        if skip > 0:
            skip -= 1
            continue
        found.append((one, row["seq"]))
        if len(found) > limit:
            break
    answer: Body = {"has_more": len(found) > limit, "items": [_list_item(one) for one, _ in found[:limit]]}
    if answer["has_more"]:
        last, seq = found[limit - 1]
        answer["pagination_key"] = encode_cursor(last.sort_at, seq)
    if bodies.flag("include_total", body.get("include_total") or False):
        everything = map(from_row, _rows(provider, kind, descending, None, bounds))
        answer["total"] = sum(1 for one in everything if matches({**one.body, **one.hidden}))
    return answer


def _list_item(one: Conversation) -> Body:
    return {name: value for name, value in one.body.items() if name not in NOT_IN_LISTS}


def _time_bounds(criteria: Body) -> tuple[float, float]:
    """What a filter on the start time lets SQLite skip; the filter itself still has the last word."""
    criterion = criteria.get("start_timestamp") or {}
    operator: Any = criterion.get("op")
    value: Any = criterion.get("value")
    low, high = float("-inf"), float("inf")
    if operator == "bt":
        low, high = float(value[0]), float(value[1])
    elif operator in ("gt", "ge"):
        low = float(value)
    elif operator in ("lt", "le"):
        high = float(value)
    return low, high


def _rows(provider: Provider, kind: str, descending: bool, after: list[int] | None, bounds: tuple[float, float]) -> Any:
    direction, beyond = ("DESC", "<") if descending else ("ASC", ">")
    sql = "SELECT * FROM conversations WHERE kind = ? AND sort_at >= ? AND sort_at <= ?"
    values: list[Any] = [kind, *bounds]
    if after is not None:
        sql += f" AND (sort_at, seq) {beyond} (?, ?)"
        values += after
    return provider.store.execute(f"{sql} ORDER BY sort_at {direction}, seq {direction}", *values)
