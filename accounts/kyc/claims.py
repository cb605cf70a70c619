"""Whose case it is: claims with a lease, so that two reviewers never work on one unknowingly."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from accounts.audit import Acting
from accounts.models import KycRecord, User, Workspace


def claim(*, record: KycRecord, acting_user: Acting, now: datetime) -> KycRecord:
    """Takes a waiting case, or a proposal to look at; renews one's own. Raises Conflict naming who has it."""
    raise NotImplementedError


def claim_next(*, workspace: Workspace, acting_user: Acting, now: datetime) -> KycRecord | None:
    """The one most due that this person may decide; None where there is none."""
    raise NotImplementedError


def release(*, record: KycRecord, acting_user: Acting, now: datetime) -> KycRecord:
    """Puts the case back into the queue."""
    raise NotImplementedError


def hand_over(
    *, record: KycRecord, to: User, acting_user: Acting, now: datetime, text_for_colleagues: str = ""
) -> KycRecord:
    """Gives the case to another reviewer."""
    raise NotImplementedError


def bulk_assign(
    *, workspace: Workspace, record_ids: Sequence[int], to: User | None, acting_user: Acting, now: datetime
) -> int:
    """Says who is to take these cases; answers how many waited to be taken."""
    raise NotImplementedError
