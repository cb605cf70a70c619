"""What a subject has tried to call: counted by country and verdict, only of this subject, only for who may know."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.kyc import records
from accounts.roles import Role
from monitoring.dashboards.subject import traffic
from policies.models import Decision
from tests.factories import make_phone_number, make_workspace
from tests.monitoring.dashboards.rows import NOW, make_decision
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db

LATVIA, LONDON = "+37120000000", "+442079460018"


@pytest.fixture
def number(in_workspace):
    return make_phone_number(in_workspace)


@pytest.fixture
def subject(in_workspace):
    row = records.create_subject(
        workspace=in_workspace, reference="guest-1", name="Ada Example", acting_user=None, now=NOW
    )
    records.create_kyc_record(
        workspace=in_workspace, subject=row, level=2, declared_countries=["GB"], acting_user=None, now=NOW
    )
    return row


def tried(number, peer, verdict="block", *, who="guest-1", days_ago=0, **facts):
    decision = make_decision(number, peer, NOW - timedelta(days=days_ago))
    values = {"subject": who, "direction": "outbound", "verdict": verdict, "reason": "kyc_required"}
    Decision.objects.filter(pk=decision.pk).update(**values | facts)


def test_counts_what_passed_and_what_was_stopped_by_country(number, subject):
    tried(number, LONDON, "allow", country="GB", reason="", reserved_micro=1_500_000)
    tried(number, LONDON, "challenge", country="GB")
    tried(number, LATVIA, country="LV")
    tried(number, LATVIA, who="guest-2", country="LV")
    tried(number, LATVIA, who="", country="LV")
    tried(number, LATVIA, days_ago=31, country="LV")

    seen = traffic(subject, now=NOW)

    assert seen.sentence == (
        "3 attempts in 30 days: 1 let through, 2 stopped, for at most $1.50. "
        "1 went to countries that were not declared."
    )
    assert [(place.name, place.passed, place.stopped, place.declared) for place in seen.places] == [
        ("United Kingdom", 1, 1, True),
        ("Latvia", 0, 1, False),
    ]
    assert len(seen.newest) == 3


def test_says_so_when_nothing_was_tried(subject):
    seen = traffic(subject, now=NOW)

    assert (seen.sentence, seen.places, seen.newest) == ("Nothing in 30 days.", (), ())


def test_costs_the_same_however_much_was_tried(number, subject):
    counted = []
    for times in (1, 12):
        for _ in range(times):
            tried(number, LATVIA, country="LV")
        with CaptureQueriesContext(connection) as queries:
            traffic(subject, now=NOW)
        counted.append(len(queries))

    assert counted == [4, 4]


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.KYC_REVIEWER, 200), (Role.OWNER, 200), (Role.VIEWER, 403), (Role.ANALYST, 403), (Role.POLICY_EDITOR, 403)],
)
def test_is_shown_to_whom_it_concerns(in_workspace, number, subject, role, status):
    where = reverse("monitoring:panel-subject", args=[subject.pk])

    assert signed_in(in_workspace, role).get(where).status_code == status


def test_another_workspaces_subject_does_not_exist(subject):
    stranger = signed_in(make_workspace(), Role.KYC_REVIEWER)

    assert stranger.get(reverse("monitoring:panel-subject", args=[subject.pk])).status_code == 404
