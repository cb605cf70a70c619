"""The rows of attempts that were let through and are dialled elsewhere: what the limits are counted from again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from accounts.addresses import canonical
from accounts.scoping import scoped
from policies.engine.types import Attempt, Direction
from policies.gate.outbound_judge import Outbound
from policies.models import Dial


def row_of(outbound: Outbound, attempt: Attempt, *, credential: str, now: datetime) -> Dial | None:
    """The row, not yet written. What comes in is not dialled and has none."""
    if attempt.direction is not Direction.OUTBOUND:
        return None
    verdict = outbound.verdict
    return Dial(
        workspace_id=outbound.loaded.workspace_id,
        decision_id=outbound.decision_id,
        at=now,
        channel=attempt.channel.value,
        credential=credential,
        idempotency_key=f"decision:{outbound.decision_id}",
        state=Dial.State.DONE,
        from_number=verdict.number.e164 if verdict.number else "",
        to_number=verdict.peer.e164 or "",
        country=verdict.peer.country or "",
        ip=canonical(attempt.ip),
        public_key=_text("public_key", attempt.public_key),
        subject=_text("subject", attempt.subject),
        charges=[charge.as_list() for charge in verdict.charges],
        call_seconds=verdict.call_seconds,
        reserved_micro=verdict.reserved_micro,
        counted_by_database=outbound.counted_by_database,
    )


def write(workspace_id: int, rows: Iterable[Dial]) -> None:
    """A repeated request finds its rows written, and leaves them as they are. Raises DatabaseError."""
    with scoped(workspace_id):
        Dial.objects.bulk_create(list(rows), ignore_conflicts=True)


def _text(column: str, value: Any) -> str:
    longest = Dial._meta.get_field(column).max_length
    return value.replace("\x00", "")[:longest] if isinstance(value, str) else ""
