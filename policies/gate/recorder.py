"""Decisions to rows: in bulk from the live store, or one by one when there is none. Once each, by decision id."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import orjson
import phonenumbers
from django.db import DataError, IntegrityError, connection, transaction
from django.db import Error as DatabaseFault
from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.addresses import canonical
from accounts.models import PublicKey, Workspace
from accounts.scoping import scoped
from policies.engine.charging import GUARDED_SECONDS, prefix_of
from policies.engine.limits import Charge
from policies.engine.settling import settle
from policies.engine.types import Attempt, Channel, Direction, Verdict, VerdictKind
from policies.gate import counters, store
from policies.gate.dialled import milliseconds
from policies.models import Decision, Dial, KnownPrefix, RefusedWebhook
from policies.words import undeclared_by

logger = logging.getLogger(__name__)

METADATA_VERSION = phonenumbers.__version__
_PASSING: Final = frozenset({VerdictKind.ALLOW, VerdictKind.GUARD})
_DIALLED: Final = frozenset({Channel.PHONE_CALL, Channel.SMS})
_TOO_LARGE: Final = "54"
"""What PostgreSQL's codes begin with for what is larger or deeper than it can keep, now and later."""


def facts(
    attempt: Attempt,
    verdict: Verdict,
    *,
    decision_id: uuid.UUID,
    at: datetime,
    latency_us: int | None = None,
    credential: str = "",
    origin: str = "",
    charges: Sequence[Charge] = (),
) -> dict[str, Any]:
    """A decision as plain JSON-able values, named as the columns of Decision.

    `charges`: those that the live store is yet to count; what it finds belongs to the trace.
    """
    return {
        "decision_id": str(decision_id),
        "at": at.astimezone(UTC).isoformat(),
        "direction": attempt.direction.value,
        "channel": attempt.channel.value,
        "phone_number": _text("phone_number", attempt.own_number),
        "peer_text": _text("peer_text", attempt.peer_number),
        "ip": canonical(attempt.ip),
        "public_key": _text("public_key", attempt.public_key),
        "subject": _text("subject", attempt.subject),
        "call_reference": _text("call_reference", attempt.call_reference),
        "credential": credential,
        "origin": _text("origin", origin),
        "charges": [charge.as_list() for charge in charges],
        "metadata_version": METADATA_VERSION,
        "latency_us": latency_us,
        **_judged(verdict),
    }


def _judged(verdict: Verdict) -> dict[str, Any]:
    shown = verdict.as_dict()
    would_be = shown.get("would_be") or {"verdict": "", "reason": ""}
    return {
        "verdict": shown["verdict"],
        "reason": shown["reason"] or "",
        "reasons": shown["reasons"],
        "peer": shown["peer"]["e164"] or "",
        "country": shown["peer"]["country"] or "",
        "number_class": shown["peer"]["number_class"],
        "flags": shown["peer"]["flags"],
        "policy_id": shown["policy"]["id"] if shown["policy"] else None,
        "policy_revision": shown["policy"]["revision"] if shown["policy"] else None,
        "hold_id": verdict.hold_id,
        "trace": shown["trace"],
        "counterfactuals": shown["counterfactuals"],
        "would_be": would_be["verdict"],
        "would_be_reason": would_be["reason"] or "",
        "call_seconds": verdict.call_seconds,
        "reserved_micro": verdict.reserved_micro,
        "degraded": shown["degraded"],
    }


def as_row(workspace_id: int, values: dict[str, Any], *, now: datetime) -> Decision:
    """The row of a decision's facts, not yet written."""
    try:
        values = _settled(values)
    except Exception:  # its trace is worth less than the decision
        logger.exception("What was counted for decision %s cannot be told.", values.get("decision_id"))
    values = {name: value for name, value in values.items() if name not in ("charges", "usages")}
    at = datetime.fromisoformat(values["at"])
    left = bool(undeclared_by(values["trace"]))
    return Decision(**{**values, "workspace_id": workspace_id, "at": at, "recorded_at": now, "left_declared_use": left})


def _settled(values: dict[str, Any]) -> dict[str, Any]:
    """With what the live store counted, which was not known yet when the verdict was written down."""
    charges = [Charge.from_list(charge) for charge in values.get("charges", ())]
    if not charges or not values.get("usages"):
        return values
    shown = {name: values[name] for name in ("verdict", "reasons", "trace", "counterfactuals", "degraded")}
    shown["reason"] = values["reason"] or None
    if values["would_be"]:
        shown["would_be"] = {"verdict": values["would_be"], "reason": values["would_be_reason"] or None}
    settled = settle(shown, charges, counters.usages_of(charges, values["usages"].encode()))
    would_be = settled.pop("would_be", None) or {"verdict": "", "reason": None}
    values = values | settled | {"reason": settled["reason"] or ""}
    values |= {"would_be": would_be["verdict"], "would_be_reason": would_be["reason"] or ""}
    if values["verdict"] not in _PASSING:
        values |= {"call_seconds": None, "reserved_micro": 0}
    elif settled["verdict"] != shown["verdict"] and values["channel"] != Channel.SMS:
        values["call_seconds"] = min(values["call_seconds"] or GUARDED_SECONDS, GUARDED_SECONDS)
    return values


def write(workspace_id: int, decisions: list[dict[str, Any]], *, now: datetime) -> None:
    """Writes decisions that are not written yet, and what they tell of keys and destinations."""
    _write(workspace_id, [as_row(workspace_id, values, now=now) for values in decisions])


def _write(workspace_id: int, rows: list[Decision]) -> dict[str, int]:
    """Answers when prefixes were called first, in milliseconds."""
    with scoped(workspace_id), transaction.atomic():
        Decision.objects.bulk_create(rows, ignore_conflicts=True)
        ids = {row.decision_id for row in rows}
        if Decision.objects.filter(decision_id__in=ids).count() != len(ids):
            raise IntegrityError("SQLite ignores more than a decision that is there already.")
        called = _prefixes_called(rows)
        KnownPrefix.objects.bulk_create(
            [KnownPrefix(workspace_id=workspace_id, prefix=prefix, first_at=at) for prefix, at in called.items()],
            ignore_conflicts=True,
        )
        for key_id, at in _keys_used(rows).items():
            older = Q(last_used_at=None) | Q(last_used_at__lt=at)
            PublicKey.objects.filter(older, pk=key_id).update(last_used_at=at)
    # Only now, when whoever dials finds the rows: either of the two comes second and knows the call.
    _name_calls(workspace_id, [row.decision_id for row in rows if row.direction == Direction.OUTBOUND])
    return {prefix: milliseconds(at) for prefix, at in called.items()}


def _name_calls(workspace_id: int, decision_ids: list[uuid.UUID]) -> None:
    """Gives decisions UponAI's id of what was dialled for them."""
    if not decision_ids:
        return
    with scoped(workspace_id):
        dialled = Dial.objects.filter(decision_id__in=decision_ids).exclude(call_id="")
        call_id = dialled.filter(decision_id=OuterRef("decision_id")).values("call_id")[:1]
        known = list(dialled.values_list("decision_id", flat=True))
        if known:
            Decision.objects.filter(decision_id__in=known).update(call_reference=Subquery(call_id))


def _prefixes_called(rows: Iterable[Decision]) -> dict[str, datetime]:
    called: dict[str, datetime] = {}
    for row in rows:
        if row.direction == Direction.OUTBOUND and row.verdict in _PASSING and row.channel in _DIALLED and row.peer:
            prefix = prefix_of(row.peer)
            called[prefix] = min(row.at, called.get(prefix, row.at))
    return called


def _keys_used(rows: Iterable[Decision]) -> dict[int, datetime]:
    used: dict[int, datetime] = {}
    for row in rows:
        kind, _, row_id = row.credential.partition(":")
        if kind == "key" and row_id.isdecimal():
            used[int(row_id)] = max(row.at, used.get(int(row_id), row.at))
    return used


def drain(*, now: datetime) -> int:
    """Moves decisions from the live store to rows, for every workspace. Answers how many. Raises RedisError.

    One workspace that fails does not stop the others. Written first, forgotten after: dying between the two
    repeats a write, which the decision id makes harmless.
    """
    total = 0
    for workspace_id in Workspace.objects.values_list("pk", flat=True):
        try:
            while True:
                seen, written = _drain_some(workspace_id, now=now)
                total += written
                if not seen:
                    break
        except DatabaseFault:
            logger.exception("The decisions of workspace %s could not be written; trying again.", workspace_id)
    return total


def _drain_some(workspace_id: int, *, now: datetime) -> tuple[int, int]:
    """The oldest ones. What can never become a row is set aside, so that it holds up nothing. Answers how many there
    were, and how many of them are rows now.
    """
    entries = store.undrained(workspace_id)
    rows = {}
    for entry_id, body in entries:
        try:
            rows[entry_id] = as_row(workspace_id, orjson.loads(body), now=now)
        except Exception:
            _set_aside(workspace_id, entry_id)
    try:
        called = _write(workspace_id, list(rows.values()))
    except Exception as trouble:
        if not _is_of_a_row(trouble):
            raise
        called = _write_one_by_one(workspace_id, rows)
    store.note_known(workspace_id, called)
    if rows:
        store.drained(workspace_id, list(rows))
    return len(entries), len(rows)


def _write_one_by_one(workspace_id: int, rows: dict[bytes, Decision]) -> dict[str, int]:
    """As `_write`. What is refused for its own sake is set aside, and gone from `rows`."""
    called: dict[str, int] = {}
    for entry_id, row in list(rows.items()):
        try:
            called |= _write(workspace_id, [row])
        except Exception as trouble:
            if not _is_of_a_row(trouble):
                raise
            _set_aside(workspace_id, entry_id)
            del rows[entry_id]
    return called


def _is_of_a_row(trouble: Exception) -> bool:
    """Whether it would come again whenever the same is written; else the database cannot write anything just now."""
    if isinstance(trouble, DataError | IntegrityError) or not isinstance(trouble, DatabaseFault):
        return True
    return str(getattr(trouble.__cause__, "sqlstate", None)).startswith(_TOO_LARGE)


def _set_aside(workspace_id: int, entry_id: bytes) -> None:
    logger.exception("A decision of workspace %s could not be written, and was set aside.", workspace_id)
    store.set_aside(workspace_id, entry_id)


_relieving = threading.Lock()


def relieve(workspace_id: int) -> None:
    """Writes decisions from here, in the background, where no worker does: neither lost nor kept in memory for ever."""
    if _relieving.acquire(blocking=False):
        threading.Thread(target=_relieve_and_leave, args=(workspace_id,), daemon=True).start()


def _relieve_and_leave(workspace_id: int) -> None:
    try:
        _relieve(workspace_id)
    finally:
        connection.close()  # this thread's own


def _relieve(workspace_id: int) -> None:
    try:
        _drain_some(workspace_id, now=timezone.now())
    except (RedisError, DatabaseFault) as trouble:
        logger.error("Decisions of workspace %s wait for a worker, and cannot be written: %s", workspace_id, trouble)
    finally:
        _relieving.release()


def drain_refused(*, now: datetime) -> None:
    """Brings the counts of this and the last hour from the live store to rows. Raises RedisError.

    The whole count is written each time, so doing it twice changes nothing. A store that was emptied counts from
    zero again, which never lowers what is written already.
    """
    this_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    for workspace_id in Workspace.objects.values_list("pk", flat=True):
        for hour in (this_hour - timedelta(hours=1), this_hour):
            counts = store.refused(workspace_id, hour=hour.isoformat())
            with scoped(workspace_id):
                for problem, requests in counts.items():
                    row, _ = RefusedWebhook.objects.get_or_create(
                        hour=hour, problem=problem, defaults={"requests": requests}
                    )
                    if row.requests < requests:
                        rows = RefusedWebhook.objects.filter(pk=row.pk, requests__lt=requests)
                        rows.update(requests=requests)


@cache
def _longest(column: str) -> int | None:
    longest: int | None = Decision._meta.get_field(column).max_length
    return longest


def _text(column: str, value: Any) -> str:
    """What a stranger sent, cut to the column; a value that is not text is shown as JSON."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return text[: _longest(column)].replace("\x00", "�")
