"""Everything about a person on request, nothing of them after an erasure, and no longer kept than is said."""

from __future__ import annotations

import json
import random
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection
from django.test import TestCase

from accounts import audit
from accounts.kyc import documents, links, privacy, provider_results, review, storage
from accounts.models import AuditEntry, Erasure, KycRecord, Subject, SubjectTrait
from accounts.scoping import unscoped
from tests.accounts.kyc import cases, hostile
from tests.accounts.kyc.test_machine_readable import TD3

pytestmark = pytest.mark.django_db
PERSON = {
    "reference": "cust-4711",
    "name": "Wilhelmina Zauberflöte",
    "phone": "+14155550142",
    "email": "wilhelmina@example.org",
    "devices": ["wilhelminas-phone"],
}
TRACES = ["Wilhelmina", "Zauberfl", "4155550142", "wilhelmina", "ERIKSSON", "secret purpose", "told in confidence"]


@pytest.fixture(autouse=True)
def _own_storage(settings, tmp_path):
    settings.DOCUMENTS_DIR = str(tmp_path / "documents")


@pytest.fixture
def record(in_workspace, now):
    row = cases.draft(in_workspace, now, subject=PERSON, declared_purpose="secret purpose", level=1)
    content = hostile.saved(hostile.picture(random.Random(3)), "PNG")
    document = documents.accept(
        record=row, content=content, name="wilhelmina.png", kind="passport", acting_user=None, now=now
    )
    documents.read_lines(document=document, text=TD3, acting_user=None, now=now)
    links.create_link(record=row, acting_user=None, now=now, text_for_subject="Dear Wilhelmina")
    facts = {"provider": "persona", "external_id": "inq_1", "outcome": "passed", "record": row.pk}
    facts["detail"] = {"name": "Wilhelmina"}
    provider_results.attach(workspace=in_workspace, facts=facts, now=now)
    review.submit(record=row, acting_user=None, now=now)
    review.withdraw(record=row, acting_user=None, now=now, text_for_colleagues="told in confidence")
    row.refresh_from_db()
    return row


def everything_written() -> str:
    """Every text of every table."""
    found = []
    with connection.cursor() as cursor:
        for model in apps.get_models():
            cursor.execute(f'SELECT * FROM "{model._meta.db_table}"')
            found += [str(row) for row in cursor.fetchall()]
    return "\n".join(found)


def stored() -> list[Path]:
    return [storage.root() / name for name in storage.names()]


def erase(record, now):
    with TestCase.captureOnCommitCallbacks(execute=True):
        return privacy.erase(subject=record.subject, reason="asked for it", acting_user=None, now=now)


def test_an_export_holds_everything_and_is_written_down(record, now):
    archive = zipfile.ZipFile(privacy.export(subject=record.subject, acting_user=None, now=now))

    facts = json.loads(archive.read("subject.json"))
    assert facts["subject"]["name"] == PERSON["name"]
    (only,) = facts["records"]
    assert [row["to_state"] for row in only["transitions"]] == ["submitted", "withdrawn"]
    assert only["documents"][0]["number"] == "L898902C3"
    assert only["documents"][0]["reading"]["surnames"] == "ERIKSSON"
    assert only["provider_results"][0]["detail"] == {"name": "Wilhelmina"}
    assert {"subject.create", "kyc_document.add", "kyc_record.submit"} <= {row["action"] for row in facts["audit_log"]}
    names = sorted(archive.namelist())
    assert [Path(name).name for name in names] == ["attempts.jsonl", "original.png", "page-1.jpg", "subject.json"]
    assert archive.read(names[1]).startswith(b"\x89PNG")
    assert "file_key" not in str(facts)
    assert "token_sha256" not in str(facts)
    assert AuditEntry.objects.filter(action="subject.export").exists()


def test_an_erased_person_is_nowhere_any_more(record, now):
    before = everything_written()
    assert all(trace in before for trace in TRACES if trace != "wilhelmina")
    assert len(stored()) == 2

    erase(record, now)

    after = everything_written()
    assert [trace for trace in [*TRACES, "cust-4711"] if trace in after] == []
    assert stored() == []
    record.refresh_from_db()
    assert record.state == "erased"
    assert SubjectTrait.objects.count() == 0
    assert Erasure.objects.get().subject_id == record.subject_id
    assert Subject.objects.get().erased_at == now


def test_the_audit_log_stays_verifiable_and_still_says_what_was_done(record, now):
    entries = AuditEntry.objects.count()

    erase(record, now)

    assert audit.verify(record.workspace_id).bad_sequence is None
    assert AuditEntry.objects.count() > entries
    actions = list(AuditEntry.objects.values_list("action", flat=True))
    assert {"subject.create", "kyc_document.add", "kyc_record.erase", "subject.erase"} <= set(actions)
    assert AuditEntry.objects.get(action="kyc_document.add").detail is None
    assert AuditEntry.objects.get(action="subject.erase").detail["reason"] == "asked for it"


def test_erasing_twice_is_erasing_once(record, now):
    erase(record, now)
    entries = AuditEntry.objects.count()

    erase(record, now)

    assert AuditEntry.objects.count() == entries


def test_others_are_left_alone(in_workspace, record, now):
    other = cases.draft(in_workspace, now, subject={"name": "Somebody Else", "phone": "+14155550143"})
    details = AuditEntry.objects.filter(object_id=str(other.subject_id), object_type="accounts.subject")

    erase(record, now)

    other.refresh_from_db()
    assert other.state == "draft"
    assert Subject.objects.get(pk=other.subject_id).name == "Somebody Else"
    assert details.get().detail["after"]["name"] == "Somebody Else"


def test_an_approved_person_who_is_erased_is_unknown_to_the_gate(in_workspace, now):
    case = cases.in_review(in_workspace, now, level=1)
    from tests.accounts.kyc.test_documents import propose

    case.record = propose(case, now)
    version = _version(in_workspace)

    erase(case.record, now)

    assert _version(in_workspace) > version
    assert KycRecord.objects.get(pk=case.record.pk).state == "erased"


def test_what_ended_is_kept_as_long_as_its_level_is(in_workspace, record, now):
    in_workspace.kyc_settings = {"retention_days": {"1": 30}}
    in_workspace.save()
    alive = cases.draft(in_workspace, now)

    assert privacy.erase_due(now=now + timedelta(days=29)) == 0
    with TestCase.captureOnCommitCallbacks(execute=True):
        assert privacy.erase_due(now=now + timedelta(days=31)) == 1
    record.refresh_from_db()
    alive.refresh_from_db()
    assert (record.state, alive.state) == ("erased", "draft")
    assert stored() == []
    assert privacy.erase_due(now=now + timedelta(days=31)) == 0


def test_a_subject_stays_with_a_record_that_is_still_kept(in_workspace, record, now):
    in_workspace.kyc_settings = {"retention_days": {"1": 30}}
    in_workspace.save()
    from accounts.kyc import records

    records.create_kyc_record(workspace=in_workspace, subject=record.subject, level=2, acting_user=None, now=now)

    privacy.erase_due(now=now + timedelta(days=31))

    record.refresh_from_db()
    assert record.state == "erased"
    assert record.declared_purpose == ""
    assert Subject.objects.get(pk=record.subject_id).name == PERSON["name"]
    assert audit.verify(in_workspace.pk).bad_sequence is None


def test_files_that_nothing_names_are_swept(in_workspace, record, now):
    orphan = storage.write(b"of an upload that broke off")

    assert privacy.remove_orphans(now=now) == 0  # it may be on its way into a row
    assert privacy.remove_orphans(now=now + timedelta(hours=2)) == 1
    assert storage.root() / orphan not in stored()
    assert len(stored()) == 2


def _version(workspace):
    with unscoped(reason="a test"):
        workspace.refresh_from_db()
    return workspace.snapshot_version
