"""What is done to a KYC record on its way: handed in, asked about, decided, confirmed, taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from accounts.audit import Acting
from accounts.models import KycRecord, Subject


def submit(*, record: KycRecord, acting_user: Acting, now: datetime, by_subject: bool = False) -> KycRecord:
    """Hands a record in. Raises ValidationError naming what is missing, Conflict."""
    raise NotImplementedError


def request_information(
    *,
    record: KycRecord,
    reason_codes: Sequence[str],
    text_for_subject: str,
    acting_user: Acting,
    now: datetime,
    text_for_colleagues: str = "",
) -> KycRecord:
    """Asks the subject for more; the clock stands meanwhile."""
    raise NotImplementedError


def provide_information(
    *, record: KycRecord, acting_user: Acting, now: datetime, by_subject: bool = False
) -> KycRecord:
    """What was asked for has come: back to who asked, or to the queue."""
    raise NotImplementedError


def approve(
    *,
    record: KycRecord,
    seen_evidence: str,
    acting_user: Acting,
    now: datetime,
    text_for_subject: str = "",
    text_for_colleagues: str = "",
    override_reason: str = "",
) -> KycRecord:
    """Approves, or proposes it where a second reviewer is needed. `seen_evidence`: evidence.hash_of what was shown."""
    raise NotImplementedError


def reject(
    *,
    record: KycRecord,
    seen_evidence: str,
    reason_codes: Sequence[str],
    text_for_subject: str,
    acting_user: Acting,
    now: datetime,
    rejection: str = KycRecord.Rejection.RETRY,
    text_for_colleagues: str = "",
) -> KycRecord:
    """Rejects, or proposes it where a second reviewer is needed."""
    raise NotImplementedError


def confirm(
    *, record: KycRecord, seen_evidence: str, acting_user: Acting, now: datetime, text_for_colleagues: str = ""
) -> KycRecord:
    """The second reviewer agrees with what was proposed."""
    raise NotImplementedError


def refuse_proposal(*, record: KycRecord, text_for_colleagues: str, acting_user: Acting, now: datetime) -> KycRecord:
    """The second reviewer does not agree: back to the reviewer."""
    raise NotImplementedError


def suspend(
    *,
    record: KycRecord,
    reason_codes: Sequence[str],
    acting_user: Acting,
    now: datetime,
    text_for_subject: str = "",
    text_for_colleagues: str = "",
) -> KycRecord:
    """Takes an approval back at once and queues the case; only four eyes approve it again."""
    raise NotImplementedError


def suspend_subject(
    *, subject: Subject, reason_codes: Sequence[str], acting_user: Acting, now: datetime, text_for_colleagues: str = ""
) -> list[KycRecord]:
    """Every approval of a subject, as after a fraud incident."""
    raise NotImplementedError


def reopen(*, record: KycRecord, acting_user: Acting, now: datetime, text_for_colleagues: str) -> KycRecord:
    """A rejected record goes to the queue again (four eyes); of an approved one, its renewal does, which is answered."""
    raise NotImplementedError


def withdraw(
    *, record: KycRecord, acting_user: Acting, now: datetime, by_subject: bool = False, text_for_colleagues: str = ""
) -> KycRecord:
    """The subject or the customer no longer wants it."""
    raise NotImplementedError


def mark_erased(*, record: KycRecord, acting_user: Acting, now: datetime) -> KycRecord:
    """The record's last move; privacy.py removes what it held in the same transaction."""
    raise NotImplementedError


def tick(*, record: KycRecord, item: str, done: bool, acting_user: Acting, now: datetime) -> KycRecord:
    """One item of the checklist, by who holds the claim."""
    raise NotImplementedError
