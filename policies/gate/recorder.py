"""Decisions to rows: in bulk from the live store, or one by one when there is none. Once each, by decision id."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import phonenumbers
from redis.exceptions import RedisError

from accounts.models import Workspace
from accounts.scoping import scoped
from policies.engine.limits import Charge
from policies.engine.types import Attempt, Verdict
from policies.gate import store
from policies.models import Decision, RefusedWebhook

logger = logging.getLogger(__name__)

METADATA_VERSION = phonenumbers.__version__


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
    shown = verdict.as_dict()
    would_be = shown.get("would_be") or {"verdict": "", "reason": ""}
    return {
        "decision_id": str(decision_id),
        "at": at.astimezone(UTC).isoformat(),
        "direction": attempt.direction.value,
        "channel": attempt.channel.value,
        "verdict": shown["verdict"],
        "reason": shown["reason"] or "",
        "reasons": shown["reasons"],
        "phone_number": _text("phone_number", attempt.own_number),
        "peer": shown["peer"]["e164"] or "",
        "peer_text": _text("peer_text", attempt.peer_number),
        "country": shown["peer"]["country"] or "",
        "number_class": shown["peer"]["number_class"],
        "flags": shown["peer"]["flags"],
        "ip": attempt.ip if isinstance(attempt.ip, str) else None,
        "public_key": _text("public_key", attempt.public_key),
        "subject": _text("subject", attempt.subject),
        "call_reference": _text("call_reference", attempt.call_reference),
        "policy_id": shown["policy"]["id"] if shown["policy"] else None,
        "policy_revision": shown["policy"]["revision"] if shown["policy"] else None,
        "hold_id": verdict.hold_id,
        "trace": shown["trace"],
        "counterfactuals": shown["counterfactuals"],
        "would_be": would_be["verdict"],
        "would_be_reason": would_be["reason"] or "",
        "credential": credential,
        "origin": _text("origin", origin),
        "call_seconds": verdict.call_seconds,
        "reserved_micro": verdict.reserved_micro,
        "charges": [charge.as_list() for charge in charges],
        "degraded": shown["degraded"],
        "metadata_version": METADATA_VERSION,
        "latency_us": latency_us,
    }


def as_row(workspace_id: int, values: dict[str, Any], *, now: datetime) -> Decision:
    """The row of a decision's facts, not yet written."""
    values = {name: value for name, value in values.items() if name not in ("charges", "usages")}
    at = datetime.fromisoformat(values["at"])
    return Decision(**{**values, "workspace_id": workspace_id, "at": at, "recorded_at": now})


def write(workspace_id: int, decisions: list[dict[str, Any]], *, now: datetime) -> None:
    """Writes decisions that are not written yet."""
    with scoped(workspace_id):
        Decision.objects.bulk_create(
            [as_row(workspace_id, values, now=now) for values in decisions], ignore_conflicts=True
        )


def drain(*, now: datetime) -> int:
    """Moves decisions from the live store to rows, for every workspace. Answers how many. Raises RedisError.

    One workspace that fails does not stop the others. Written first, forgotten after: dying between the two
    repeats a write, which the decision id makes harmless.
    """
    total = 0
    for workspace_id in Workspace.objects.values_list("pk", flat=True):
        try:
            while entries := store.undrained(workspace_id):
                write(workspace_id, [orjson.loads(body) for _, body in entries], now=now)
                store.drained(workspace_id, [entry_id for entry_id, _ in entries])
                total += len(entries)
        except RedisError:
            raise
        except Exception:
            logger.exception("The decisions of workspace %s could not be written; trying again.", workspace_id)
    return total


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


def _text(column: str, value: Any) -> str:
    """What a stranger sent, cut to the column; a value that is not text is shown as JSON."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    longest = Decision._meta.get_field(column).max_length
    return text[:longest].replace("\x00", "�")
