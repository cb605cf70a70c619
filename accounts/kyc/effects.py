"""What a move does beside moving, in its transaction: clock, audit entry, gate, the customer's webhooks."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from accounts import audit
from accounts.kyc import rules, sla, webhooks
from accounts.kyc.states import State
from accounts.kyc.transitions import Move, move
from accounts.models import KycDocument, KycRecord, KycTransition
from accounts.workspaces import bump_snapshot

KNOWN_TO_THE_GATE = (State.APPROVED, State.EXPIRED)


def carry_out(row: KycRecord, step: Move, **changes: Any) -> KycTransition:
    """Moves a locked record, and tells whoever must know. Raises WrongState for a move that is not in the table."""
    before = State(row.state)
    transition = move(row, step, **sla.clock(row, step.to, step.now), **changes)
    audit.record(
        workspace_id=row.workspace_id,
        action=f"kyc_record.{step.verb}",
        subject=row,
        acting_user=step.acting_user,
        now=step.now,
        before={"state": before},
        after={
            "state": step.to,
            "actor": step.actor,
            "reason_codes": step.reason_codes,
            "evidence": step.evidence,
            "fallback": step.fallback,
            "expires_at": row.expires_at,
        },
        reason=step.text_for_colleagues,
    )
    if before in KNOWN_TO_THE_GATE or step.to in KNOWN_TO_THE_GATE:
        bump_snapshot(row.workspace_id)
    if before != step.to:
        webhooks.announce(row, transition)
    return transition


def undecided() -> dict[str, Any]:
    """The columns of a record about which nothing is decided (any more)."""
    return {
        "decided_by": "",
        "confirmed_by": "",
        "decided_at": None,
        "expires_at": None,
        "evidence": "",
        "fallback": "",
        "rejection": "",
    }


def unclaimed() -> dict[str, Any]:
    return {"claimed_by": "", "claimed_until": None}


def claim_of(row: KycRecord, actor: str, now: datetime) -> dict[str, Any]:
    """The columns of a claim that begins now."""
    minutes = rules.of(row.workspace)["claim_minutes"]
    return {"claimed_by": actor, "claimed_until": now + timedelta(minutes=minutes), "assigned_to": actor}


def expiry_of(row: KycRecord, now: datetime) -> datetime:
    """Until when an approval of now counts: as long as its level says, and no longer than a document does."""
    ends = now + rules.valid_for(row.workspace, row.level)
    documents = KycDocument.objects.filter(record=row, removed_at=None, state=KycDocument.State.CLEAN)
    days = documents.exclude(expires_on=None).values_list("expires_on", flat=True)
    last_moments = [datetime.combine(day, time.min, tzinfo=UTC) + timedelta(days=1) for day in days]
    return min([ends, *(moment for moment in last_moments if moment > now)])
