"""Attempts of an erased subject stay, and do not say any more whose they were."""

import json
import zipfile
from datetime import timedelta

import pytest
from django.core.serializers import serialize

from accounts import audit
from accounts.kyc import privacy, records
from accounts.models import AuditEntry, Erasure, Subject
from accounts.scoping import scoped
from policies import erasures, tasks
from policies.gate import recorder
from policies.models import Decision, Dial
from tests.accounts.kyc import cases
from tests.factories import moment
from tests.policies.gate.outbound.conftest import CALL, DIAL, LONDON, gate, sandbox_of_gate, uponai

__all__ = ["gate", "sandbox_of_gate", "uponai"]

pytestmark = pytest.mark.django_db


def _everything(workspace):
    with scoped(workspace.pk):
        return serialize("json", [*Decision.objects.all(), *Dial.objects.all(), *Erasure.objects.all()])


def test_an_erased_subject_is_named_by_no_attempt(gate, uponai):
    now = moment() - timedelta(days=7)
    with scoped(gate.workspace.pk):
        case = cases.approved(
            gate.workspace,
            now,
            subject={"reference": "wilhelmina-7"},
            declared_countries=["US"],
            declared_calls_per_day=9,
        )
    gate.publish()
    for body in (DIAL, DIAL | {"to_number": LONDON}):
        gate.post(CALL, body, X_End_User_Id="wilhelmina-7", X_End_User_IP="198.51.100.7")
        gate.post(CALL, body, X_End_User_Id="wilhelmina-77", X_End_User_IP="198.51.100.7")
    recorder.drain(now=moment())
    before = _everything(gate.workspace)
    privacy.erase(subject=case.record.subject, reason="asked for", acting_user=None, now=moment())

    tasks.forget_erased_subjects()

    after = _everything(gate.workspace).replace("wilhelmina-77", "")
    assert "declared:wilhelmina-7" in before
    assert "wilhelmina" not in after
    with scoped(gate.workspace.pk):
        tombstone = privacy.tombstone(case.record.subject_id)
        assert Decision.objects.filter(subject=tombstone, ip=None).count() == 2
        assert Dial.objects.filter(subject=tombstone, ip=None).count() == 1
        assert Decision.objects.filter(subject="wilhelmina-77", ip="198.51.100.7").count() == 2
    assert audit.verify(gate.workspace.pk).problem == ""


def test_an_export_holds_the_attempts_under_all_names_and_nobody_else_s(workspace):
    now = moment() - timedelta(days=2)
    with scoped(workspace.pk):
        subject = cases.draft(workspace, now, subject={"reference": "maiden-7"}).subject
        attempt = {
            "direction": "outbound",
            "channel": "phone_call",
            "verdict": "block",
            "reason": "country_not_allowed",
        }
        attempt |= {"ip": "198.51.100.7", "peer": LONDON}
        for hours, name in enumerate(("maiden-7", "married-7", "maiden-77")):
            Decision.objects.create(at=now + timedelta(hours=hours), subject=name, **attempt)
        records.edit_subject(
            subject=subject, reference="married-7", acting_user=None, now=now + timedelta(hours=1, minutes=1)
        )
        other = cases.draft(workspace, now + timedelta(hours=2), subject={"reference": "maiden-7"}).subject
        Decision.objects.create(at=now + timedelta(hours=3), subject="maiden-7", call_reference="call_3", **attempt)

        hers, another_s = (_exported(row) for row in (Subject.objects.get(pk=subject.pk), other))

    assert [line["subject"] for line in hers] == ["maiden-7", "married-7"]
    assert attempt.items() <= hers[0].items()
    assert [line["call_reference"] for line in another_s] == ["call_3"]


def _exported(subject):
    archive = zipfile.ZipFile(privacy.export(subject=subject, acting_user=None, now=moment()))
    return [json.loads(line) for line in archive.read("attempts.jsonl").splitlines()]


def test_what_the_subject_was_called_before_is_forgotten_too_and_not_who_is_called_so_now(gate):
    now = moment() - timedelta(days=2)
    with scoped(gate.workspace.pk):
        subject = cases.draft(gate.workspace, now, subject={"reference": "maiden-7"}).subject
        attempts = [
            {"direction": "outbound", "verdict": "allow", "subject": name} for name in ("maiden-7", "married-7")
        ]
        for facts in attempts:
            Decision.objects.create(at=now, **facts)
        for name in ("married-7", "divorced-7"):
            records.edit_subject(subject=subject, reference=name, acting_user=None, now=now + timedelta(hours=1))
        cases.draft(gate.workspace, now + timedelta(hours=2), subject={"reference": "maiden-7"})
        Decision.objects.create(at=now + timedelta(hours=3), **attempts[0])
        privacy.erase(subject=subject, reason="asked for", acting_user=None, now=moment())

        assert erasures.forget_due(now=moment()) == 2
        tombstone = privacy.tombstone(subject.pk)
        assert list(Decision.objects.order_by("at", "pk").values_list("subject", flat=True)) == [
            *[tombstone] * 2,
            "maiden-7",
        ]
        assert "married" not in _everything(gate.workspace)
        log = serialize("json", AuditEntry.objects.filter(object_type="accounts.subject", object_id=subject.pk))
        assert "maiden" not in log
    assert audit.verify(gate.workspace.pk).problem == ""


def test_what_comes_late_is_reached_and_then_nothing_tells_the_name(gate):
    with scoped(gate.workspace.pk):
        subject = cases.draft(gate.workspace, moment(), subject={"reference": "late-7"}).subject
        privacy.erase(subject=subject, reason="asked for", acting_user=None, now=moment())
        Decision.objects.create(at=moment(), direction="outbound", verdict="allow", subject="late-7")

        assert erasures.forget_due(now=moment()) == 1
        assert Erasure.objects.get().reference_sealed
        assert erasures.forget_due(now=moment() + erasures.STRAGGLERS) == 0
        assert not Erasure.objects.get().reference_sealed
