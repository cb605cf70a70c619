"""Alerts: raised once for each matter as long as it lasts, known to people, and mailed without a storm."""

from datetime import timedelta

import pytest
from django.core import mail as outbox
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import AuditEntry
from accounts.roles import Role
from accounts.scoping import scoped, unscoped
from monitoring import alert_conditions, alert_mail, alerts
from monitoring.models import AgentSeen, Alert, Call, Relay
from policies import opens
from policies.models import PhoneNumber, SyncTarget, UponaiConnection
from tests.factories import make_member, make_phone_number, make_workspace
from tests.monitoring.ingest.events import encode, process, send
from tests.rest import client_of
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db

Kind = Alert.Kind
LIST = "admin:monitoring_alert_changelist"


def raised(**facts):
    with unscoped(reason="a test looks at all"):
        return list(Alert.objects.filter(**facts).order_by("pk"))


def refuse_key(workspace, now):
    with scoped(workspace.pk):
        UponaiConnection.objects.update_or_create(workspace=workspace, defaults={"key_refused_at": now})


def accept_key(workspace):
    with scoped(workspace.pk):
        UponaiConnection.objects.update(key_refused_at=None)


def ungated(workspace, now, reference="call_1", way="private_key"):
    with scoped(workspace.pk):
        Call.objects.create(
            call_reference=reference,
            channel="phone_call",
            direction="outbound",
            status="ended",
            started_at=now,
            changed_at=now,
            gating="ungated",
            way_around=way,
        )


def open_for(workspace, length, now):
    return opens.open_temporarily(
        workspace_id=workspace.pk,
        scope="country",
        value="KE",
        reason="A customer there",
        expires_at=now + length,
        acting_user=None,
        now=now,
    )


# --- Raising and resolving ------------------------------------------------------------------------


def test_raises_one_alert_for_what_lasts_and_resolves_it_when_it_is_over(workspace, now):
    refuse_key(workspace, now)
    for beat in range(4):
        alerts.watch(now=now + timedelta(seconds=beat))

    [alert] = raised()
    assert (alert.kind, alert.workspace_id, alert.raised_at) == (Kind.KEY_REFUSED, workspace.pk, now)
    assert "refuses this workspace's key" in alert.sentence

    accept_key(workspace)
    alerts.watch(now=now + timedelta(minutes=1))
    assert raised()[0].resolved_at == now + timedelta(minutes=1)

    refuse_key(workspace, now)
    alerts.watch(now=now + timedelta(hours=1))
    assert [row.resolved_at is None for row in raised()] == [False, True]


def test_takes_up_what_comes_back_at_once_instead_of_telling_of_it_again(workspace, now):
    for minute in range(4):
        refuse_key(workspace, now)
        alerts.watch(now=now + timedelta(minutes=2 * minute))
        accept_key(workspace)
        alerts.watch(now=now + timedelta(minutes=2 * minute + 1))

    assert len(raised()) == 1


def test_reads_everything_that_somebody_should_know(workspace, now):
    failed = make_phone_number(workspace, "+14155550101")
    fought_over = make_phone_number(workspace, "+14155550102")
    flagged = make_phone_number(workspace, "+14155550103")
    open_for(workspace, timedelta(minutes=4), now)
    with scoped(workspace.pk):
        SyncTarget.objects.filter(phone_number=failed).update(state="failed", error="It is not a number of yours")
        SyncTarget.objects.filter(phone_number=fought_over).update(
            state="drift", due_at=None, reasserted_at=[now.isoformat()] * 3
        )
        PhoneNumber.objects.filter(pk=flagged.pk).update(flagged_since=now)
        AgentSeen.objects.create(agent="agent_silent", missed=2, missed_at=now)
        AgentSeen.objects.create(agent="agent_heard", missed=2, missed_at=now, last_event_at=now)
        Relay.objects.create(url="https://example.com/a?k=1", created_at=now, failing_since=now - timedelta(minutes=3))
        Relay.objects.create(url="https://example.com/b", created_at=now, failing_since=now)
    refuse_key(workspace, now)
    ungated(workspace, now)

    alerts.watch(now=now)

    found = {row.kind: row for row in raised()}
    assert len(raised()) == 8
    assert set(found) == set(Kind) - {Kind.UPONAI}
    assert found[Kind.SYNC_FAILED].sentence.endswith("+1 415-555-0101: It is not a number of yours.")
    assert found[Kind.SYNC_STOPPED].about == "+14155550102"
    assert found[Kind.NUMBER_FLAGGED].path == reverse("admin:policies_phonenumber_change", args=[flagged.pk])
    assert found[Kind.EVENTS_MISSING].about == "agent_silent"
    assert "https://example.com/a:" in found[Kind.RELAY_FAILED].sentence
    assert "private key" in found[Kind.UNGATED].sentence
    assert "Kenya" in found[Kind.OPEN_ENDS].sentence
    above = [line.tone for line in signed_in(workspace).get(reverse(LIST)).context["sentences"]]
    assert above == ["danger"] * 3 + ["warning"] * 3 + ["notice"] * 2


@pytest.mark.parametrize("count", [1, alert_conditions.MOST_SINGLE + 1])
def test_a_drift_that_is_not_given_up_raises_nothing(workspace, now, count):
    numbers = [make_phone_number(workspace, f"+1415555010{index}") for index in range(count)]
    with scoped(workspace.pk):
        targets = SyncTarget.objects.filter(phone_number__in=numbers)
        targets.update(state="drift", due_at=None, reasserted_at=[now.isoformat()] * 2)

    alerts.watch(now=now)

    assert raised() == []


@pytest.mark.parametrize(
    ("length", "before"),
    [
        (timedelta(minutes=20), timedelta(minutes=5)),
        (timedelta(hours=5), timedelta(minutes=30)),
        (timedelta(days=3), timedelta(hours=1)),
    ],
)
def test_warns_of_an_ending_open_a_tenth_of_its_length_before(workspace, now, length, before):
    row = open_for(workspace, length, now)
    assert alert_conditions.warned_from(row) == row.expires_at - before

    alerts.watch(now=row.expires_at - before - timedelta(seconds=1))
    assert raised() == []
    alerts.watch(now=row.expires_at - before)
    assert len(raised()) == 1
    alerts.watch(now=row.expires_at)
    assert raised()[0].resolved_at == row.expires_at


def test_counts_calls_around_the_gate_by_the_way_they_took(workspace, now):
    ungated(workspace, now)
    ungated(workspace, now - timedelta(minutes=5), "call_2")
    ungated(workspace, now, "call_3", way="batch")
    ungated(workspace, now - timedelta(hours=7), "call_old", way="registered")

    alerts.watch(now=now)

    assert {row.about: row.details["calls"] for row in raised()} == {"private_key": 2, "batch": 1}


def test_tells_of_a_storm_in_one_alert(workspace, now):
    numbers = [make_phone_number(workspace, f"+141555501{i:02}") for i in range(8)]
    with scoped(workspace.pk):
        SyncTarget.objects.filter(phone_number__in=numbers).update(state="failed")

    alerts.watch(now=now)

    [alert] = raised()
    assert (alert.about, alert.details) == ("many", {"count": 8})
    assert "8 numbers" in alert.sentence


def test_costs_the_same_however_many_workspaces_there_are(workspace, now):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            alerts.watch(now=now)
        return len(captured)

    refuse_key(workspace, now)
    alerts.watch(now=now)
    few = queries()
    for _ in range(4):
        refuse_key(make_workspace(), now)
    alerts.watch(now=now)

    assert queries() == few <= 14
    assert len(raised()) == 5


# --- UponAI's own ---------------------------------------------------------------------------------


def test_takes_uponais_own_alert_in_once_for_each_incident(workspace, now):
    told = {
        "alert_incident_id": "inc_1",
        "alert_rule_id": "rule_1",
        "name": "Call spike",
        "metric_type": "call_count",
        "threshold_value": 100,
        "comparator": ">",
        "window": "1h",
        "current_value": 150,
        "triggered_timestamp": int(now.timestamp() * 1000) - 1000,
    }
    for again in ({}, {"current_value": 151}, {"alert_incident_id": "inc_2"}):
        assert send(workspace, {"event": "alert_triggered", "alert": told | again}) == 204
    process(workspace)

    first, second = raised(kind=Kind.UPONAI)
    assert (first.about, second.about) == ("inc_1", "inc_2")
    assert first.sentence == "UponAI raised an alert of its own: Call spike. Call count is 150 (set: > 100) within 1h."

    alerts.watch(now=now)
    assert raised(resolved_at=None) == [first, second]
    alerts.watch(now=now + timedelta(hours=25))
    assert raised(resolved_at=None) == []


@pytest.mark.parametrize(
    "alert",
    [
        None,
        [],
        "spike",
        {},
        {"name": 7, "alert_incident_id": ["x"], "triggered_timestamp": 10**30, "current_value": {}},
        {"name": "\x00" * 10, "alert_incident_id": "i" * 5000, "window": "w" * 5000, "metric_type": {"a": 1}},
    ],
)
def test_any_alert_of_uponais_is_kept_without_harm(workspace, alert):
    assert send(workspace, encode({"event": "alert_triggered", "alert": alert})) == 204
    process(workspace)

    assert len(raised()) == (1 if isinstance(alert, dict) else 0)


# --- People ---------------------------------------------------------------------------------------


def test_somebody_knows(workspace, now):
    refuse_key(workspace, now)
    alerts.watch(now=now)
    [alert] = raised()
    owner = signed_in(workspace)

    page = owner.get(reverse(LIST)).content.decode()
    assert alert.sentence.split(".")[0].replace("'", "&#x27;") in page
    assert "I know" in page
    with scoped(workspace.pk):
        assert alerts.open_count() == 1

    owner.post(reverse("admin:monitoring_alert_seen", args=[alert.pk]))

    [alert] = raised()
    assert alert.seen_at is not None
    assert alert.mail_due_at is None
    assert "No alert is open." in owner.get(reverse(LIST)).content.decode()
    with scoped(workspace.pk):
        assert alerts.open_count() == 0
        assert AuditEntry.objects.filter(action="alert.see").count() == 1
    assert signed_in(make_workspace()).get(alert_page(alert)).status_code == 404


def alert_page(alert):
    return reverse("admin:monitoring_alert_change", args=[alert.pk])


def test_who_may_only_look_has_no_button_and_no_way(workspace, now):
    refuse_key(workspace, now)
    alerts.watch(now=now)
    [alert] = raised()
    viewer = signed_in(workspace, Role.VIEWER)

    assert "I know" not in viewer.get(reverse(LIST)).content.decode()
    assert viewer.get(alert_page(alert)).status_code == 200
    assert viewer.post(reverse("admin:monitoring_alert_seen", args=[alert.pk])).status_code == 403
    assert raised()[0].seen_at is None


def test_alerts_by_rest(workspace, now):
    refuse_key(workspace, now)
    alerts.watch(now=now)
    client = client_of(workspace)

    [shown] = client.get("/api/v1/alerts/?open=true").json()["results"]
    assert (shown["kind"], shown["is_open"], shown["seen_by"]) == ("key_refused", True, None)
    for _ in range(2):
        seen = client.post(f"/api/v1/alerts/{shown['id']}/seen/")
        assert (seen.status_code, seen.json()["seen_by"]) == (200, "API token test")
    assert client.get("/api/v1/alerts/?open=true").json()["results"] == []
    assert len(client.get("/api/v1/alerts/?open=false&kind=key_refused").json()["results"]) == 1
    assert client_of(workspace, "alerts:read").post(f"/api/v1/alerts/{shown['id']}/seen/").status_code == 403
    assert client_of(make_workspace()).get(f"/api/v1/alerts/{shown['id']}/").status_code == 404


# --- Mail -----------------------------------------------------------------------------------------


def test_mails_owners_and_policy_editors_once_for_an_alert(workspace, now):
    for role in (Role.OWNER, Role.POLICY_EDITOR, Role.KYC_REVIEWER, Role.VIEWER):
        make_member(workspace, role, email=f"{role.value}@example.com")
    refuse_key(workspace, now)
    for beat in range(3):
        alerts.watch(now=now + timedelta(minutes=5 * beat))
        alert_mail.mail_due(now=now + timedelta(minutes=5 * beat))

    [sent] = outbox.outbox
    assert sent.to == ["owner@example.com", "policy_editor@example.com"]
    assert workspace.name in sent.subject
    assert reverse(LIST) in sent.body
    assert sent.alternatives
    [alert] = raised()
    assert (alert.mailed_at, alert.mail_due_at, alert.attempts) == (now, None, 1)


def test_bundles_a_minutes_alerts_in_one_mail(workspace, now):
    make_member(workspace)
    noon = now.replace(second=0, microsecond=0)
    refuse_key(workspace, noon)
    alerts.watch(now=noon)
    assert alert_mail.mail_due(now=noon) == 1

    ungated(workspace, noon)
    ungated(workspace, noon, "call_2", way="batch")
    alerts.watch(now=noon + timedelta(seconds=5))
    assert alert_mail.mail_due(now=noon + timedelta(seconds=10)) == 0
    assert alert_mail.mail_due(now=noon + timedelta(seconds=60)) == 1

    assert len(outbox.outbox) == 2
    assert "2 alerts" in outbox.outbox[1].subject


def test_tries_again_later_when_the_mail_server_does_not_take_it(workspace, now, settings):
    make_member(workspace)
    refuse_key(workspace, now)
    alerts.watch(now=now)
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
        "django.core.mail.backends.smtp.EmailBackend",
        "127.0.0.1",
        1,
    )

    assert alert_mail.mail_due(now=now) == 0

    [alert] = raised()
    assert "could not be sent" in alert.error
    assert alert.mail_due_at == now + timedelta(minutes=1)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert alert_mail.mail_due(now=now + timedelta(seconds=59)) == 0
    assert alert_mail.mail_due(now=now + timedelta(minutes=2)) == 1
    assert raised()[0].error == ""


def test_what_is_over_before_anybody_was_told_is_not_mailed(workspace, now):
    make_member(workspace)
    refuse_key(workspace, now)
    alerts.watch(now=now)
    accept_key(workspace)
    alerts.watch(now=now + timedelta(seconds=5))

    assert alert_mail.mail_due(now=now + timedelta(seconds=10)) == 0


def test_what_comes_back_before_anybody_was_told_is_mailed_once(workspace, now):
    make_member(workspace)
    for second in (0, 20):
        refuse_key(workspace, now)
        alerts.watch(now=now + timedelta(seconds=second))
        accept_key(workspace)
        alerts.watch(now=now + timedelta(seconds=second + 10))
    refuse_key(workspace, now)
    alerts.watch(now=now + timedelta(seconds=40))

    assert [alert_mail.mail_due(now=now + timedelta(minutes=minute)) for minute in (1, 2, 3)] == [1, 0, 0]
    assert len(outbox.outbox) == 1


def test_where_nobody_is_to_be_told_nothing_waits(workspace, now):
    refuse_key(workspace, now)
    alerts.watch(now=now)

    assert alert_mail.mail_due(now=now) == 0

    [alert] = raised()
    assert alert.mail_due_at is None
    assert "Nobody here" in alert.error


def test_a_leak_that_goes_on_is_told_of_again_though_somebody_knew(workspace, now):
    ungated(workspace, now)
    alerts.watch(now=now)
    alerts.mark_seen(alert=raised()[0], acting_user=None, now=now)
    alerts.watch(now=now)
    assert raised()[0].seen_at is not None

    ungated(workspace, now, reference="call_2")
    alerts.watch(now=now)

    [alert] = raised()
    assert (alert.seen_at, alert.mail_due_at) == (None, now)
