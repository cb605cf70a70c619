"""What becomes due by itself."""

from datetime import UTC, date, datetime, timedelta

from accounts import workspaces
from accounts.kyc import due
from accounts.models import AuditEntry, KycDocument, KycRecord, Workspace
from tests.accounts.kyc import cases


def test_an_approval_ends_and_the_gate_is_told(in_workspace, now):
    case = cases.approved(in_workspace, now)
    ends_at = case.record.expires_at
    assert due.expire_due(now=ends_at - timedelta(milliseconds=1)) == 0
    before = Workspace.objects.get(pk=in_workspace.pk).snapshot_version

    assert due.expire_due(now=ends_at) == 1

    assert KycRecord.objects.get().state == "expired"
    assert Workspace.objects.get(pk=in_workspace.pk).snapshot_version > before
    assert due.expire_due(now=ends_at + timedelta(days=1)) == 0


def test_the_level_and_the_workspace_say_how_long_an_approval_lasts(in_workspace, now):
    assert cases.approved(in_workspace, now, level=3).record.expires_at == now + timedelta(days=180)
    settings = {"valid_days": {"3": 30}}
    workspaces.change_settings(workspace=in_workspace, kyc_settings=settings, acting_user=None, now=now)

    assert cases.approved(in_workspace, now, level=3).record.expires_at == now + timedelta(days=30)
    assert cases.approved(in_workspace, now, level=2).record.expires_at == now + timedelta(days=365)


def test_no_approval_outlives_the_document_it_rests_on(in_workspace):
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    case = cases.in_review(in_workspace, now)
    KycDocument.objects.create(record=case.record, state="clean", expires_on=date(2026, 12, 24))

    assert cases.approve(case, now).expires_at == datetime(2026, 12, 25, tzinfo=UTC)


def test_re_verification_is_asked_for_once_before_the_end(in_workspace, now):
    case = cases.approved(in_workspace, now, declared_countries=["US", "GB"])
    assert due.ask_reverification_due(now=case.record.expires_at - timedelta(days=31)) == 0

    for _ in range(2):
        due.ask_reverification_due(now=case.record.expires_at - timedelta(days=29))

    first, renewal = KycRecord.objects.order_by("pk")
    assert (first.state, renewal.state, renewal.renews_id) == ("approved", "draft", first.pk)
    assert sorted(country.code for country in renewal.declared_countries) == ["GB", "US"]
    assert renewal.opened_because == "reverification"


def test_what_waits_for_too_long_is_escalated_once_at_each_step(in_workspace, now):
    case = cases.in_review(in_workspace, now, level=3)
    cases.approve(case, now)

    counts = [due.escalate_due(now=now + timedelta(hours=hours)) for hours in (6, 6.5, 7, 8, 9)]

    assert counts == [0, 1, 0, 1, 0]
    assert AuditEntry.objects.filter(action="kyc_record.escalate").count() == 2
    assert KycRecord.objects.get().escalation == 2


def test_nothing_is_overdue_while_the_subject_is_asked(in_workspace, now):
    from accounts.kyc import review

    case = cases.in_review(in_workspace, now)
    review.request_information(
        record=case.record,
        reason_codes=["data_missing"],
        text_for_subject="More, please.",
        acting_user=case.reviewer,
        now=now,
    )

    assert due.escalate_due(now=now + timedelta(days=30)) == 0
