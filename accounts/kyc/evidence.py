"""What a decision rests on, as one hash, and what happens to a decision when that changes."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import orjson

from accounts.audit import Acting
from accounts.kyc import effects, people
from accounts.kyc.states import PROPOSED, State
from accounts.kyc.transitions import Move, locked
from accounts.models import KycDocument, KycRecord, ProviderResult
from accounts.workspaces import taking_turns

CANCELLED = "evidence_changed"


def hash_of(record: KycRecord) -> str:
    """Over subject, declared use, documents and providers' results, as they are in the database."""
    return hashlib.sha256(orjson.dumps(_facts(record), default=str)).hexdigest()


def _facts(record: KycRecord) -> list[Any]:
    subject = record.subject
    documents = KycDocument.objects.filter(record=record, removed_at=None).order_by("pk")
    results = ProviderResult.objects.filter(record=record).order_by("pk")
    return [
        [subject.pk, subject.reference, subject.name, subject.phone, subject.email, subject.date_of_birth],
        [_codes(subject.nationalities), subject.country_of_residence.code, subject.devices],
        [record.pk, record.level, _codes(record.declared_countries), record.declared_channels],
        [record.declared_calls_per_day, record.declared_purpose],
        [[row.pk, row.kind, row.side, row.state, row.sha256, row.clean_sha256] for row in documents],
        [[row.issuing_country.code, row.expires_on, row.number_sealed, row.reading] for row in documents],
        [[row.pk, row.kind, row.outcome, row.sha256] for row in results],
    ]


def _codes(countries: Any) -> list[str]:
    return sorted(country.code for country in countries)


def changed(*, record: KycRecord, acting_user: Acting, now: datetime) -> KycRecord:
    """To be called in the transaction of every change of the evidence: a pending proposal is cancelled, and what a
    decision would take is found out anew."""
    from accounts.kyc import outlook

    with taking_turns(record.workspace_id):
        row = locked(record)
        if row.state in PROPOSED and row.evidence != hash_of(row):
            cancel_proposal(row, acting_user=acting_user, now=now)
        outlook.renew(row)
        return row


def cancel_proposal(row: KycRecord, *, acting_user: Acting, now: datetime) -> None:
    """Back to who proposed, who has to look at what is new."""
    step = Move(
        "cancel_proposal",
        State.IN_REVIEW,
        people.identity(acting_user),
        acting_user,
        now,
        reason_codes=[CANCELLED],
        text_for_colleagues="What the proposal rested on has changed.",
    )
    proposer = row.decided_by
    effects.carry_out(row, step, **effects.undecided(), **effects.claim_of(row, proposer, now))
