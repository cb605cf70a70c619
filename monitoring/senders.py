"""Who may start calls at UponAI without passing the gate, as a person declared: campaigns by batch, own SIP trunks.

Declaring blocks and opens nothing. It says which ungated calls nobody needs to worry about, those of before too.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from accounts import audit
from accounts.audit import Acting
from accounts.workspaces import taking_turns
from monitoring.ingest import gating
from monitoring.models import Call, KnownSender
from policies.engine.numbers import understand
from policies.rules_input import FieldProblem, Refused

Kind = KnownSender.Kind
OF_EVERYTHING: Final = (Kind.BATCH, Kind.REGISTERED)
LONGEST_REASON: Final = KnownSender._meta.get_field("reason").max_length or 0
LONGEST_VALUE: Final = 80  # of an agent's id


def declare(
    *,
    workspace_id: int,
    kind: str,
    value: str,
    reason: str,
    acting_user: Acting,
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[KnownSender, bool]:
    """Declares a sender, and marks what it has started so far. Raises Refused.

    Declared again, it is the same row with the reason, the end, the person and the time of now. Whether it is a new one
    comes second.
    """
    value, reason = value.strip(), reason.strip()
    problems = _problems(kind, value, reason, expires_at, now)
    if problems:
        raise Refused(problems)
    value = _canonical(kind, value)
    with taking_turns(workspace_id):
        row = KnownSender.objects.filter(kind=kind, value=value, removed_at=None).first()
        before = _facts(row) if row else None
        row = row or KnownSender(workspace_id=workspace_id, kind=kind, value=value)
        row.reason, row.expires_at = reason, expires_at
        row.declared_by, row.declared_at = audit.label_of(acting_user), now
        row.save()
        gating.recognise(Call.objects.all(), now=now, senders=[row])
        audit.record(
            workspace_id=workspace_id,
            action="known_sender.declare",
            subject=row,
            acting_user=acting_user,
            now=now,
            before=before,
            after=_facts(row),
            reason=reason,
        )
    return row, before is None


def remove(*, sender: KnownSender, acting_user: Acting, now: datetime) -> KnownSender:
    """Its calls count as ungated again, those of before too. One that is removed already stays so."""
    with taking_turns(sender.workspace_id):
        row: KnownSender = KnownSender.objects.select_for_update().get(pk=sender.pk)
        if row.removed_at is not None:
            return row
        row.removed_at = now
        row.save(update_fields=["removed_at"])
        gating.disown(row, now=now)
        audit.record(
            workspace_id=row.workspace_id,
            action="known_sender.remove",
            subject=row,
            acting_user=acting_user,
            now=now,
            before=_facts(row),
        )
    return row


def _problems(kind: str, value: str, reason: str, expires_at: datetime | None, now: datetime) -> list[FieldProblem]:
    problems = []
    if kind not in Kind.values:
        problems.append(FieldProblem("kind", "invalid_choice", f"A sender is one of {', '.join(Kind.values)}."))
    elif kind in OF_EVERYTHING and value:
        problems.append(FieldProblem("value", "not_allowed", "This covers all of them: leave the value empty."))
    elif kind not in OF_EVERYTHING and not value:
        problems.append(FieldProblem("value", "required", "Say which number or which agent."))
    elif kind == Kind.PHONE_NUMBER and not _canonical(kind, value):
        problems.append(FieldProblem("value", "invalid", "This is not a phone number such as +14155550100."))
    elif "\x00" in value or len(value) > LONGEST_VALUE:
        problems.append(FieldProblem("value", "invalid", f"An agent's id has at most {LONGEST_VALUE} characters."))
    if not reason:
        problems.append(FieldProblem("reason", "required", "Say why, so that others know whether it may stay."))
    elif len(reason) > LONGEST_REASON:
        problems.append(FieldProblem("reason", "max_length", f"A reason has at most {LONGEST_REASON} characters."))
    if expires_at is not None and expires_at <= now:
        problems.append(FieldProblem("expires_at", "past", "The end must be later than now."))
    return problems


def _canonical(kind: str, value: str) -> str:
    return understand(value, role="destination").e164 or "" if kind == Kind.PHONE_NUMBER else value


def _facts(row: KnownSender) -> dict[str, Any]:
    return {"kind": row.kind, "value": row.value, "reason": row.reason, "expires_at": row.expires_at}
