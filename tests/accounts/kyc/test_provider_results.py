"""Results of identity providers come in signed, are kept as evidence, and decide nothing."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from django.urls import reverse

from accounts.kyc import evidence, provider_results
from accounts.models import AuditEntry, ProviderResult, Workspace
from accounts.scoping import scoped
from tests import factories
from tests.accounts.kyc import cases
from tests.accounts.kyc.test_documents import propose

pytestmark = pytest.mark.django_db


@pytest.fixture
def secret(workspace, now):
    text = provider_results.new_secret(workspace=workspace, acting_user=None, now=now)
    workspace.refresh_from_db()
    return text


@pytest.fixture
def record(workspace, now):
    with scoped(workspace.pk):
        return cases.submitted(workspace, now, level=2)


def result(record, **changes):
    given = {"provider": "sumsub", "external_id": "app-1", "outcome": "passed", "record": record.pk}
    return given | {"detail": {"reviewAnswer": "GREEN"}} | changes


def send(client, workspace, facts, secret, now, **given):
    body = facts if isinstance(facts, bytes) else orjson.dumps(facts)
    header = given.get("header", provider_results.sign(secret, body, now))
    where = reverse("kyc_provider_results", args=[given.get("endpoint", workspace.endpoint)])
    return client.post(where, body, content_type="application/json", headers={"X-Provider-Signature": header})


def test_a_signed_result_becomes_evidence(client, workspace, record, secret, now):
    with scoped(workspace.pk):
        before = evidence.hash_of(record)

    answer = send(client, workspace, result(record), secret, now)

    assert answer.status_code == 201
    with scoped(workspace.pk):
        row = ProviderResult.objects.get(provider="sumsub")
        assert (row.provider, row.outcome, row.detail) == ("sumsub", "passed", {"reviewAnswer": "GREEN"})
        assert evidence.hash_of(record) != before
        record.refresh_from_db()
        assert record.state == "submitted"  # it decides nothing
        assert AuditEntry.objects.filter(action="provider_result.attach").exists()


def test_the_same_result_sent_again_changes_nothing(client, workspace, record, secret, now):
    first = send(client, workspace, result(record), secret, now)
    second = send(client, workspace, result(record), secret, now)
    third = send(client, workspace, result(record, outcome="failed"), secret, now)

    assert [first.status_code, second.status_code, third.status_code] == [201, 200, 201]
    assert first.json()["id"] == second.json()["id"] != third.json()["id"]


def test_a_subject_is_found_by_the_customers_own_reference(client, workspace, record, secret, now):
    facts = result(record, subject=record.subject.reference)
    del facts["record"]

    assert send(client, workspace, facts, secret, now).json()["record"] == record.pk


def test_nothing_is_believed_without_a_signature_that_fits(client, workspace, record, secret, now):
    body = orjson.dumps(result(record))
    good = provider_results.sign(secret, body, now)
    old = provider_results.sign(secret, body, now - timedelta(minutes=6))
    early = provider_results.sign(secret, body, now + timedelta(minutes=6))
    others = provider_results.sign("prs_other", body, now)
    for header in ("", "t=,v1=", "v1=ü", old, early, others, good[:-1], good.replace("t=", "t=1"), good + "0"):
        assert send(client, workspace, body, secret, now, header=header).status_code == 401, header
    assert send(client, workspace, body.replace(b"passed", b"failed"), secret, now, header=good).status_code == 401
    assert send(client, workspace, body, secret, now, endpoint="unknown").status_code == 401
    without = factories.make_workspace()
    assert send(client, without, body, "", now).status_code == 401
    with scoped(workspace.pk):
        assert not ProviderResult.objects.filter(provider="sumsub").exists()


def test_a_new_secret_ends_the_old_one_and_is_kept_sealed(client, workspace, record, secret, now):
    new = provider_results.new_secret(workspace=workspace, acting_user=None, now=now)

    assert send(client, workspace, result(record), secret, now).status_code == 401
    assert send(client, workspace, result(record), new, now).status_code == 201
    assert new not in Workspace.objects.get(pk=workspace.pk).provider_secret


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"provider": ""}, "provider"),
        ({"provider": 5}, "provider"),
        ({"external_id": "a" * 121}, "external_id"),
        ({"external_id": "a\0"}, "external_id"),
        ({"outcome": "maybe"}, "outcome"),
        ({"outcome": ["passed"]}, "outcome"),
        ({"kind": "name_screening"}, "list_version"),
        ({"detail": "x"}, "detail"),
        ({"detail": {"a": "\0"}}, "detail"),
        ({"detail": {"a": "x" * 70_000}}, "detail"),
        ({"record": 2**63}, "record"),
        ({"record": "1"}, "record"),
        ({"record": True}, "record"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_is_wrong_is_named(client, workspace, record, secret, now, change, field):
    answer = send(client, workspace, result(record) | change, secret, now)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"[]", 422), (b"null", 422), (b"\xff", 400)])
def test_bodies_that_are_no_results(client, workspace, secret, now, body, status):
    assert send(client, workspace, body, secret, now).status_code == status


def test_records_of_another_workspace_are_not_found(client, workspace, secret, now):
    other = factories.make_workspace()
    with scoped(other.pk):
        theirs = cases.submitted(other, now)

    assert send(client, workspace, result(theirs), secret, now).status_code == 422


def test_a_result_after_a_proposal_cancels_it(client, workspace, secret, now):
    with scoped(workspace.pk):
        case = cases.in_review(workspace, now, level=3)
        case.record = propose(case, now)
    assert case.record.state == "proposed_approve"

    assert send(client, workspace, result(case.record, outcome="failed"), secret, now).status_code == 201

    case.record.refresh_from_db()
    assert case.record.state == "in_review"
