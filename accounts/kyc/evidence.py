"""What a decision rests on, as one hash, and what happens to a decision when that changes."""

from __future__ import annotations

from datetime import datetime

from accounts.audit import Acting
from accounts.models import KycRecord


def hash_of(record: KycRecord) -> str:
    """Over subject, declared use, documents and providers' results, as they are in the database."""
    raise NotImplementedError


def changed(*, record: KycRecord, acting_user: Acting, now: datetime) -> KycRecord:
    """To be called in the transaction of every change of the evidence: a pending proposal is cancelled."""
    raise NotImplementedError
