"""The demo's end users: each with a KYC record, brought to where it stands by the people who review."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from accounts.kyc import claims, evidence, privacy, provider_results, records, review, rules
from accounts.kyc.due import expire_due
from accounts.models import KycRecord, Subject, User, Workspace
from accounts.scoping import scoped
from monitoring.demo import cast

State = KycRecord.State
# Not decided yet: these came in lately.
OPEN = {
    State.SUBMITTED,
    State.IN_REVIEW,
    State.NEEDS_INFORMATION,
    State.PROPOSED_APPROVE,
    State.PROPOSED_REJECT,
}


def end_users(workspace: Workspace, *, people: Mapping[str, User], now: datetime) -> None:
    """Subjects with one KYC record each, in every state there is."""
    with scoped(workspace.pk):
        there = set(Subject.objects.values_list("reference", flat=True))
        for position, person in enumerate(cast.END_USERS):
            name = cast.reference_of(position)
            if name not in there and not (person[3] == State.ERASED and _is_one_erased()):
                with transaction.atomic():
                    _end_user(workspace, position, person, people, now=now)
        expire_due(now=now)


def _is_one_erased() -> bool:
    """Who was erased has no reference any more to be found by."""
    return Subject.objects.exclude(erased_at=None).exists()


def _end_user(workspace: Workspace, position: int, person: Any, people: Mapping[str, User], *, now: datetime) -> None:
    name, country, level, state, countries, purpose = person
    came_at = _came_at(state, level, position, now)
    is_erased = state == State.ERASED
    owner = people[cast.OWNER]
    subject = records.create_subject(
        workspace=workspace,
        acting_user=owner,
        now=came_at,
        reference=cast.reference_of(position),
        name=name,
        phone="" if is_erased else f"+1212555{160 + position:04d}",
        email="" if is_erased else f"{name.lower().replace(' ', '.')}@guest.example",
        country_of_residence=country,
        nationalities=[country] if country else [],
    )
    record = records.create_kyc_record(
        workspace=workspace,
        subject=subject,
        acting_user=owner,
        now=came_at,
        level=level,
        declared_countries=list(countries),
        declared_purpose=purpose,
    )
    if level > KycRecord.Level.BASIC:
        facts = {"record": record.pk, "provider": "identity provider", "external_id": f"check-{1000 + position}"}
        provider_results.attach(workspace=workspace, facts=facts | {"outcome": "passed"}, now=came_at)
    _bring(record, State(state), people, came_at)


def _came_at(state: str, level: int, position: int, now: datetime) -> datetime:
    if state in OPEN:
        return now - timedelta(hours=4 + position)
    if state == State.EXPIRED:
        days = rules.FACTORY["valid_days"][str(level)]
        return now - timedelta(days=days + 3)
    return now - timedelta(days=28 - position, hours=position * 5 % 24)


def _bring(record: KycRecord, state: State, people: Mapping[str, User], came_at: datetime) -> None:
    """Along the way that a record really goes."""
    at = came_at + timedelta(hours=1)
    owner: dict[str, Any] = {"record": record, "acting_user": people[cast.OWNER], "now": at}
    if state == State.DRAFT:
        return
    review.submit(**owner)
    if state == State.WITHDRAWN:
        review.withdraw(**owner)
    elif state == State.ERASED:
        privacy.erase(subject=record.subject, reason="Asked to be forgotten.", acting_user=owner["acting_user"], now=at)
    elif state != State.SUBMITTED:
        _review(record, state, people, came_at + timedelta(hours=3))


def _review(record: KycRecord, state: State, people: Mapping[str, User], at: datetime) -> None:
    first: dict[str, Any] = {"record": record, "acting_user": people[cast.REVIEWER], "now": at}
    row = claims.claim(**first)
    if state == State.IN_REVIEW:
        return
    if state == State.NEEDS_INFORMATION:
        words = "Please send a document that shows your address."
        review.request_information(**first, reason_codes=["proof_of_address"], text_for_subject=words)
        return
    for item in rules.CHECKLISTS[row.level]:
        review.tick(**first, item=item, done=True)
    seen = {"seen_evidence": evidence.hash_of(row)}
    if state in (State.REJECTED, State.PROPOSED_REJECT):
        row = review.reject(**first, **seen, reason_codes=["data_mismatch"])
    else:
        row = review.approve(**first, **seen)
    if row.state == State.PROPOSED_APPROVE and state != State.PROPOSED_APPROVE:
        row = review.confirm(record=row, **seen, acting_user=people[cast.SECOND_REVIEWER], now=at)
    if state == State.SUSPENDED:
        review.suspend(**first, reason_codes=["complaint"], text_for_colleagues="Complaints in October.")
