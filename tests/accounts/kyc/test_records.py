"""Subjects and KYC records as people write them down."""

from datetime import date

import pytest
from django.core.exceptions import ValidationError

from accounts.kyc import records
from accounts.models import AuditEntry, KycRecord, Subject, Workspace
from accounts.scoping import scoped
from tests import factories
from tests.accounts.kyc import cases


def make_subject(workspace, now, **facts):
    given = {"reference": "cust-1", "name": "Ada Example"} | facts
    return records.create_subject(workspace=workspace, acting_user=None, now=now, **given)


def newest_entry():
    return AuditEntry.objects.order_by("-sequence").first()


def test_a_subject_is_kept_with_its_number_in_one_form(in_workspace, now):
    make_subject(in_workspace, now, phone="+1 415 555 0100", nationalities=["US", "GB"])

    subject = Subject.objects.get()
    assert subject.phone == "+14155550100"
    assert sorted(country.code for country in subject.nationalities) == ["GB", "US"]
    assert newest_entry().detail["after"]["nationalities"] == ["GB", "US"]


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"name": ""}, "name"),
        ({"reference": ""}, "reference"),
        ({"phone": "12"}, "phone"),
        ({"email": "nobody"}, "email"),
        ({"country_of_residence": "XX"}, "country_of_residence"),
    ],
)
def test_a_subject_is_refused_naming_the_field(in_workspace, now, facts, field):
    with pytest.raises(ValidationError) as refusal:
        make_subject(in_workspace, now, **facts)

    assert set(refusal.value.message_dict) == {field}
    assert not Subject.objects.exists()


def test_a_subject_born_tomorrow_and_a_reference_used_twice_are_refused(in_workspace, now):
    make_subject(in_workspace, now)

    with pytest.raises(ValidationError) as refusal:
        make_subject(in_workspace, now, date_of_birth=now.date())

    assert set(refusal.value.message_dict) == {"date_of_birth", "reference"}
    with pytest.raises(ValidationError, match="more than 130 years ago"):
        make_subject(in_workspace, now, reference="guest-2", date_of_birth=date(1800, 1, 1))


def test_an_edit_is_audited_with_what_changed_alone(in_workspace, now):
    subject = make_subject(in_workspace, now, phone="+14155550100")

    records.edit_subject(subject=subject, name="Ada Sample", phone="+14155550100", acting_user=None, now=now)

    detail = newest_entry().detail
    assert (detail["before"], detail["after"]) == ({"name": "Ada Example"}, {"name": "Ada Sample"})


def test_a_record_begins_as_a_draft(in_workspace, now):
    record = records.create_kyc_record(
        workspace=in_workspace,
        subject=make_subject(in_workspace, now),
        level=2,
        declared_countries=["LV"],
        acting_user=None,
        now=now,
    )

    assert KycRecord.objects.get().state == "draft"
    assert newest_entry().detail["after"]["subject"] == "cust-1"
    records.edit_kyc_record(record=record, declared_countries=["LV", "GB"], acting_user=None, now=now)
    assert newest_entry().detail["after"] == {"declared_countries": ["GB", "LV"]}


def test_a_record_is_never_about_another_workspaces_subject(in_workspace, now):
    other = factories.make_workspace()
    foreign = make_subject(other, now)

    with pytest.raises(ValidationError):
        records.create_kyc_record(workspace=in_workspace, subject=foreign, level=1, acting_user=None, now=now)

    with scoped(other.pk):
        assert not KycRecord.objects.exists()


def test_a_decided_record_keeps_its_level_and_its_declared_use(in_workspace, now):
    case = cases.approved(in_workspace, now, declared_countries=["US"])

    for changes in ({"level": 3}, {"declared_countries": ["US", "GB"]}, {"declared_calls_per_day": 900}):
        with pytest.raises(ValidationError) as refusal:
            records.edit_kyc_record(record=case.record, acting_user=None, now=now, **changes)
        assert set(refusal.value.message_dict) == set(changes)

    records.edit_kyc_record(record=case.record, note_for_colleagues="Seen twice.", acting_user=None, now=now)
    record = KycRecord.objects.get()
    assert (record.level, [country.code for country in record.declared_countries]) == (1, ["US"])


def test_countries_are_understood_however_they_are_written(in_workspace, now):
    subject = make_subject(in_workspace, now, nationalities=["RUS", "north korea"], country_of_residence="UK")

    assert sorted(country.code for country in subject.nationalities) == ["KP", "RU"]
    assert subject.country_of_residence.code == "GB"


def test_an_approved_subject_who_turns_out_to_be_sanctioned_is_suspended(in_workspace, now):
    case = cases.approved(in_workspace, now)

    records.edit_subject(subject=case.record.subject, nationalities=["IR"], acting_user=None, now=now)

    record = KycRecord.objects.get()
    assert (record.state, record.is_reversal) == ("suspended", True)


@pytest.mark.parametrize("changes", [{"name": "Ada Other"}, {"reference": "cust-other"}])
def test_an_approved_subject_who_may_be_another_is_decided_again_while_the_gate_stays_open(in_workspace, now, changes):
    case = cases.approved(in_workspace, now)

    records.edit_subject(subject=case.record.subject, acting_user=None, now=now, **changes)

    first, renewal = KycRecord.objects.order_by("pk")
    assert (first.state, renewal.state, renewal.renews_id) == ("approved", "submitted", first.pk)


def test_a_new_reference_of_an_approved_subject_reaches_the_gate(in_workspace, now):
    case = cases.approved(in_workspace, now)
    before = Workspace.objects.get(pk=in_workspace.pk).snapshot_version

    records.edit_subject(subject=case.record.subject, reference="cust-other", acting_user=None, now=now)

    assert Workspace.objects.get(pk=in_workspace.pk).snapshot_version > before
