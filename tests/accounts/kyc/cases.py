"""KYC records for tests, brought to where they stand by the verbs that people use, and the people who do so."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.kyc import claims, evidence, records, review, rules
from accounts.models import KycRecord, KycTransition, ProviderResult, Subject, User, Workspace
from accounts.roles import Role
from tests import factories

_counter = itertools.count(1)


@dataclass
class Case:
    record: KycRecord
    reviewer: User
    second: User


def reviewer(workspace: Workspace) -> User:
    return factories.make_member(workspace, Role.KYC_REVIEWER)


def second_reviewer(workspace: Workspace) -> User:
    return factories.make_member(workspace, Role.SECOND_REVIEWER)


def draft(workspace: Workspace, now: datetime, *, subject: dict[str, Any] | None = None, **facts: Any) -> KycRecord:
    person = {"reference": f"case-{next(_counter)}", "name": "Ada Example", "nationalities": ["US"]}
    row = records.create_subject(
        workspace=workspace,
        acting_user=None,
        now=now,
        **person | {"country_of_residence": "US"} | (subject or {}),
    )
    record = records.create_kyc_record(
        workspace=workspace, subject=row, acting_user=None, now=now, **{"level": 1} | facts
    )
    if record.level > 1:  # what a record of such a level is handed in with
        told = {"provider": "persona", "external_id": f"inq-{row.reference}", "outcome": "passed"}
        ProviderResult.objects.create(workspace=workspace, record=record, sha256="0" * 64, **told)
    return record


def submitted(workspace: Workspace, now: datetime, *, by: Any = None, **facts: Any) -> KycRecord:
    return review.submit(record=draft(workspace, now, **facts), acting_user=by, now=now)


def in_review(workspace: Workspace, now: datetime, *, ticked: bool = True, **facts: Any) -> Case:
    """Claimed by a reviewer, with every item of the checklist ticked."""
    record = submitted(workspace, now, **facts)
    case = Case(record, reviewer(workspace), second_reviewer(workspace))
    claim(case, now, ticked=ticked)
    return case


def claim(case: Case, now: datetime, *, ticked: bool = True) -> None:
    acting: dict[str, Any] = {"record": case.record, "acting_user": case.reviewer, "now": now}
    case.record = claims.claim(**acting)
    for item in rules.CHECKLISTS[case.record.level] if ticked else ():
        case.record = review.tick(**acting, item=item, done=True)


def approve(case: Case, now: datetime, **given: Any) -> KycRecord:
    acting: dict[str, Any] = {"record": case.record, "acting_user": case.reviewer, "now": now}
    case.record = review.approve(**acting | {"seen_evidence": evidence.hash_of(case.record)} | given)
    return case.record


def reject(case: Case, now: datetime, **given: Any) -> KycRecord:
    acting: dict[str, Any] = {"record": case.record, "acting_user": case.reviewer, "now": now}
    usual = {"seen_evidence": evidence.hash_of(case.record), "reason_codes": ["data_mismatch"]}
    case.record = review.reject(**acting | usual | given)
    return case.record


def confirm(case: Case, now: datetime, **given: Any) -> KycRecord:
    acting: dict[str, Any] = {"record": case.record, "acting_user": case.second, "now": now}
    case.record = review.confirm(**acting | {"seen_evidence": evidence.hash_of(case.record)} | given)
    return case.record


def approved(workspace: Workspace, now: datetime, **facts: Any) -> Case:
    case = in_review(workspace, now, **facts)
    approve(case, now)
    if case.record.state == KycRecord.State.PROPOSED_APPROVE:
        confirm(case, now)
    return case


def put_where(records: Sequence[KycRecord], *path: str, **columns: Any) -> None:
    """Moves records that stand alike on along `path` without the verbs; `columns` go with the last."""
    first, pks = KycRecord.objects.get(pk=records[0].pk), [record.pk for record in records]
    before = first.state
    for place, state in enumerate(path, first.moves + 1):
        common = {"sequence": place, "at": timezone.now(), "from_state": before, "to_state": state, "actor": "console"}
        KycTransition.objects.bulk_create(KycTransition(record_id=pk, verb="test", **common) for pk in pks)
        last = columns if place == first.moves + len(path) else {}
        KycRecord.objects.filter(pk__in=pks).update(state=state, came_from=before, moves=place, **last)
        before = state


def decided_columns(now: datetime, *, lasts: timedelta = timedelta(days=1)) -> dict[str, Any]:
    """Of a record that two people approved."""
    return {
        "decided_by": "user:1",
        "confirmed_by": "user:2",
        "second_needed": True,
        "evidence": "0" * 64,
        "decided_at": now,
        "expires_at": now + lasts,
    }


APPROVED = ("submitted", "in_review", "approved")


def quickly_approved(
    reference: str, now: datetime, *, level: int = 1, lasts: timedelta = timedelta(days=1)
) -> KycRecord:
    """A subject of the workspace at hand with an approval, for tests that only need it to be so."""
    subject = Subject.objects.create(reference=reference, name=reference)
    record: KycRecord = KycRecord.objects.create(subject=subject, level=level)
    put_where([record], *APPROVED, **decided_columns(now, lasts=lasts))
    return record
