"""What it would take to decide an open record, kept with it, so that everybody who looks at it is told the same."""

from __future__ import annotations

from typing import Any, Final

from accounts.kyc import four_eyes, screening
from accounts.kyc.states import PROPOSED, UNDECIDED, State
from accounts.models import KycRecord

OPEN: Final = tuple(state for state in (*UNDECIDED, State.SUSPENDED) if state not in PROPOSED)
"""Where nobody has decided yet. What was proposed or decided keeps the reasons that it was decided with."""


def of(row: KycRecord) -> dict[str, Any]:
    """The columns of a record as it stands now."""
    reasons = four_eyes.reasons(row)
    return {"screening": screening.of(row), "second_needed": bool(reasons), "second_reasons": reasons}


def renew(row: KycRecord) -> None:
    """To be called in the transaction of every change of what `of` looks at."""
    if row.state not in OPEN:
        return
    columns = of(row)
    if any(getattr(row, name) != value for name, value in columns.items()):
        for name, value in columns.items():
            setattr(row, name, value)
        row.save(update_fields=[*columns])


def renew_others(row: KycRecord) -> None:
    """What happened to one record of a subject may make the others take two people, or no longer."""
    others = KycRecord.objects.filter(subject_id=row.subject_id, state__in=OPEN).exclude(pk=row.pk)
    for other in others.select_for_update(of=("self",)).select_related("subject").order_by("pk"):
        renew(other)
