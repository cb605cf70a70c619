"""An attempt turned out to be fraud: whoever it was made for loses their approval at once, and is looked at again."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final

from accounts.audit import Acting
from accounts.kyc import review
from accounts.kyc.states import State, SuspendReason
from accounts.models import KycRecord, Subject

MAY_SUSPEND: Final = "accounts.review_kycrecord"


def approved_subject(reference: str) -> Subject | None:
    """Who has an approval that can be taken back."""
    if not reference:
        return None
    subjects = Subject.objects.filter(reference=reference, kyc_records__state=State.APPROVED)
    found: Subject | None = subjects.first()
    return found


def suspend(
    *, reference: str, decision_id: uuid.UUID, reason: SuspendReason, acting_user: Acting, now: datetime
) -> list[KycRecord]:
    """Suspends every approval of the subject of a decision; nothing where there is none (any more)."""
    subject = approved_subject(reference)
    if subject is None:
        return []
    text = f"{reason.label}, by what became of decision {decision_id}."
    return review.suspend_subject(
        subject=subject, reason_codes=[reason.value], acting_user=acting_user, now=now, text_for_colleagues=text
    )
