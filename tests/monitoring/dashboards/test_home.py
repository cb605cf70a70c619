"""The home page as people get it: for every role, in one answer, with few queries, of one workspace alone."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import leaks, workspaces
from accounts.models import KycRecord, Subject, UponaiKey
from accounts.roles import Role
from accounts.scoping import scoped
from monitoring.ingest import blocked_calls, parties
from monitoring.models import Alert, BlockedCall, ConcurrencySample
from policies import exposure
from policies.gate import line
from policies.models import RefusedWebhook, SyncTarget, UponaiConnection
from tests import factories
from tests.accounts.kyc import cases
from tests.monitoring.dashboards.rows import NOW, count, list_blocked, make_call, make_decision

pytestmark = pytest.mark.django_db
MOST_QUERIES = 12
PANELS = ("overview", "risk", "top", "newest", "blocked", "usage", "map", "matters")


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def workspace(db):
    return factories.make_workspace(time_zone="America/New_York")


@pytest.fixture
def number(workspace):
    return factories.make_phone_number(workspace)


@pytest.fixture
def busy(workspace, number):
    """Two even days, then a spike in the running hour, with twelve blocked attempts in the last minutes."""
    with scoped(workspace.pk):
        for hour in range(1, 50):
            make_call(NOW - timedelta(hours=hour))
        for _ in range(60):
            make_call(NOW - timedelta(minutes=3), country="LV", direction="outbound")
        for minute in range(1, 13):
            make_decision(number, "+442079460018", NOW - timedelta(minutes=minute))
        make_decision(number, "+5352345678", NOW)
        count(workspace.pk, NOW)
    return workspace


@pytest.fixture
def owner(client, workspace):
    client.force_login(factories.make_member(workspace, Role.OWNER))
    return client


def home(client, **parameters: str) -> str:
    answer = client.get(reverse("admin:index"), parameters)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_the_first_answer_has_everything(owner, busy):
    page = text(home(owner))

    assert "Unusual: 60 calls since 07:00" in page
    assert "most with Latvia" in page
    assert "Sanctioned country 1" in page
    assert re.search(r"\+53 5 2345678 Cuba content_copy → to \+1 415-555-0100", page)
    assert "Usual range" in page
    assert "Country Blocked Allowed" in page


def test_the_newest_ten_blocked_calls_are_listed_newest_first_each_with_its_why(owner, busy):
    with scoped(busy.pk):
        expected = list(BlockedCall.objects.order_by("-at", "-id").values_list("pk", flat=True)[:10])

    html = home(owner)

    rows = re.findall(r'<tr data-row="([^"]+)"', html)
    assert len(rows) == 10
    pks = [int(re.findall(r"\d+", href)[0]) for href in rows]
    assert pks == expected
    assert "Cuba" in text(owner.get(rows[0], follow=True).content.decode())


@pytest.mark.parametrize("metric", ["calls", "concurrency"])
@pytest.mark.parametrize("period", ["1h", "24h", "30d"])
def test_the_page_needs_at_most_twelve_queries(owner, busy, period, metric):
    home(owner)

    with CaptureQueriesContext(connection) as queries:
        home(owner, period=period, metric=metric)

    assert len(queries) <= MOST_QUERIES, "\n".join(query["sql"] for query in queries)


@pytest.mark.parametrize("role", list(Role))
def test_every_role_sees_the_page(client, busy, role):
    client.force_login(factories.make_member(busy, role))

    assert "60 calls" in home(client)


@pytest.mark.parametrize(
    ("role", "sees"), [(Role.KYC_REVIEWER, True), (Role.OWNER, True), (Role.ANALYST, False), (Role.VIEWER, False)]
)
def test_the_kyc_queue_is_shown_to_those_who_may_see_cases(client, workspace, role, sees):
    with scoped(workspace.pk):
        subject = Subject.objects.create(reference="u1", name="Ada")
        for days in (3, 1):
            submitted = NOW - timedelta(days=days)
            record = KycRecord.objects.create(subject=subject, level=2, submitted_at=submitted)
            cases.put_where([record], "submitted")
        KycRecord.objects.create(subject=subject, level=1, state="draft")
    client.force_login(factories.make_member(workspace, role))

    assert ("2 KYC cases waiting for review, the oldest for 3 days" in text(home(client))) is sees


def test_numbers_out_of_step_are_open_matters_with_a_link_to_them(owner, workspace, number):
    with scoped(workspace.pk):
        SyncTarget.objects.update(state="drift")

    html = home(owner)

    href = reverse("admin:policies_phonenumber_changelist") + "?sync_target__state__exact=drift"
    assert f'href="{href}"' in html
    listed = owner.get(href)
    assert listed.status_code == 200
    assert "+1 415-555-0100" in listed.content.decode()
    assert "1 phone number changed at UponAI by somebody else" in text(html)


def test_refused_webhooks_are_an_open_matter(owner, workspace, number):
    with scoped(workspace.pk):
        RefusedWebhook.objects.create(hour=NOW.replace(minute=0), problem="signature", requests=5)

    assert "5 webhooks refused in 24 hours" in text(home(owner))


def test_a_private_key_that_was_shown_is_an_open_matter(owner, workspace, number):
    with scoped(workspace.pk):
        key = UponaiKey.objects.get()
    for origin in ("https://a.example", "https://b.example"):
        leaks.report_leak(key=key, origin=origin, ip="", path="/gate/create-chat", now=NOW)

    assert "2 places showed the private UponAI key" in text(home(owner))

    workspaces.set_uponai_key(workspace=workspace, key="key_another_one", acting_user=None, now=NOW)
    assert "private UponAI key" not in text(home(owner))


def test_open_matters_are_absent_when_nothing_is_open(owner, number):
    assert "Open matters" not in home(owner)


def test_the_link_of_the_kyc_queue_leads_to_the_list(owner, workspace):
    with scoped(workspace.pk):
        subject = Subject.objects.create(reference="u1", name="Ada")
        record = KycRecord.objects.create(subject=subject, level=2, submitted_at=NOW, due_at=NOW)
        cases.put_where([record], "submitted")

    href = reverse("admin:accounts_kycrecord_changelist")

    assert f'<a class="fc-matter fc-tone-warning" href="{href}"' in home(owner)
    answer = owner.get(href)
    assert answer.status_code == 200
    assert "Ada" in answer.content.decode()


def test_a_new_workspace_is_shown_the_way(owner, workspace):
    page = text(home(owner))

    assert "Nothing is watched yet: this workspace has no phone numbers." in page
    assert "Import your phone numbers from UponAI : to do" in page
    assert f"/hooks/{workspace.endpoint}/inbound" in page
    assert "Nothing blocked in this period" in page


def test_rows_of_another_workspace_never_appear(client, busy):
    other = factories.make_workspace()
    client.force_login(factories.make_member(other))

    page = text(home(client))

    assert "Nothing is watched yet" in page
    assert "No blocked call yet" in page
    assert "No calls in this period." in page
    assert "+53 5 2345678" not in page


@pytest.mark.parametrize("name", PANELS)
def test_every_panel_can_be_had_alone(owner, busy, name):
    answer = owner.get(reverse(f"monitoring:panel-{name}"), {"period": "7d", "metric": "money"})

    html = unescape(answer.content.decode())
    assert answer.status_code == 200
    assert html.count(f'id="panel-{name}"') == 1
    assert f'hx-get="{reverse(f"monitoring:panel-{name}")}?period=7d&metric=money"' in html
    assert "<html" not in html


def test_a_panel_shows_a_new_blocked_call(owner, busy, number):
    with scoped(busy.pk):
        make_decision(number, "+37167123456", NOW + timedelta(seconds=1))
        list_blocked(busy.pk, NOW)

    html = owner.get(reverse("monitoring:panel-newest")).content.decode()

    assert "+371 67 123 456" in text(html).partition("+53 5 2345678")[0]


def test_a_panel_sends_the_whole_page_to_the_sign_in_when_nobody_is_signed_in(client, busy):
    answer = client.get(reverse("monitoring:panel-newest"), headers={"HX-Request": "true"})

    assert (answer.content, answer.headers["HX-Refresh"]) == (b"", "true")


def test_a_panel_is_closed_to_those_who_are_not_signed_in(client, busy):
    answer = client.get(reverse("monitoring:panel-newest"))

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(reverse("admin:login"))


def test_the_tab_that_was_asked_for_is_drawn(owner, busy):
    assert "Money in the last 24 hours against their usual range" in text(home(owner, metric="money"))


def test_a_bar_leads_to_exactly_the_rows_it_counts(owner, busy):
    html = home(owner)

    bar = re.findall(r'<a href="([^"]+)" class="fc-chart__column"', html)[-1]
    listed = owner.get(bar)

    assert listed.context["cl"].result_list.count() == 13


def test_a_country_of_the_map_leads_to_its_blocked_calls(owner, busy):
    href = re.search(r'<a href="([^"]+country__exact=CU[^"]*|[^"]+)">Cuba</a>', home(owner))

    assert href
    assert [row.country for row in owner.get(href[1]).context["cl"].result_list] == ["CU"]


def test_the_last_hour_is_drawn_by_the_minute(owner, busy):
    page = text(home(owner, period="1h"))

    assert "13 blocked in the last hour" in page
    assert "60 calls in the last hour" in page
    assert "From 06:00 to 08:00, in whole hours" in page
    assert "Wed 4 Mar, 07:27 60" in page


def test_a_span_of_ones_own_is_kept_by_every_panel_and_tab(owner, busy):
    asked = {"period": "custom", "from": "2026-03-04T05:00", "to": "2026-03-04T08:00"}

    html = home(owner, **asked, top="calls")

    assert "13 blocked from 4 Mar 05:00 to 07:31" in text(html)
    span = "period=custom&from=2026-03-04T05%3A00&to=2026-03-04T08%3A00"
    for name in PANELS:
        assert f'{reverse(f"monitoring:panel-{name}")}?{span}&top=calls"' in html
    assert f"?{span}&metric=money" in html


def test_a_span_that_cannot_be_shown_says_why_and_shows_the_last_day(owner, busy):
    html = home(owner, period="custom", **{"from": "2026-03-04T09:00", "to": "<b>"})

    assert "The end is not a date and time, such as 2026-03-04 07:30. The last 24 hours are shown." in text(html)
    assert "13 blocked in the last 24 hours" in text(html)


def test_running_now_and_over_time_come_from_the_samples(owner, busy):
    with scoped(busy.pk):
        for minutes, running in ((0, 6), (1, 17), (70, 9)):
            at = NOW - timedelta(minutes=minutes)
            ConcurrencySample.objects.create(at=at, running=running, limit=20, ours=running)

    assert "Running now 6 of 20" in text(home(owner))
    page = text(home(owner, period="1h", metric="concurrency"))
    assert "At most 17 at once of 20 that UponAI allows, in the last hour" in page
    assert "Limit: 20" in page


def test_a_week_of_samples_is_drawn_by_the_hour_with_what_is_usual(owner, busy):
    with scoped(busy.pk):
        samples = [NOW - timedelta(minutes=20 * number) for number in range(3 * 24 * 3)]
        ConcurrencySample.objects.bulk_create(
            ConcurrencySample(workspace=busy, at=at, running=3 + at.minute % 5, limit=20, ours=3) for at in samples
        )

    page = home(owner, period="7d", metric="concurrency")

    assert "in the last 7 days; measured since 1 Mar 07:00 only" in text(page)
    assert "Usual range" in text(page)
    assert page.count("not measured") > 24


def test_measuring_that_has_just_begun_is_said(owner, busy):
    with scoped(busy.pk):
        ConcurrencySample.objects.create(at=NOW, running=0, limit=20, ours=0)

    page = text(home(owner, period="30d", metric="concurrency"))

    assert "None was running in the last 30 days; measured since 4 Mar 07:00 only" in page


def test_what_runs_now_is_unknown_when_nobody_asked_lately(owner, busy):
    with scoped(busy.pk):
        ConcurrencySample.objects.create(at=NOW - timedelta(minutes=5), running=3, limit=20, ours=3)

    assert "Running now unknown" in text(home(owner))


def test_a_silent_uponai_leaves_what_events_told(owner, busy):
    with scoped(busy.pk):
        ConcurrencySample.objects.create(at=NOW, running=None, limit=None, ours=4)

    assert "Running now 4 as events told; UponAI does not say" in text(home(owner))


def test_what_is_at_risk_is_reckoned_by_a_panel_and_kept_for_the_page(owner, busy):
    exposure.forget()
    assert "is being reckoned" in text(home(owner))

    panel = text(owner.get(reverse("monitoring:panel-risk")).content.decode())

    assert re.search(r"At risk \$[\d,.]+ an hour at most", panel)
    assert panel in text(home(owner))


def test_who_stands_out_is_listed_with_the_rows_behind(owner, busy):
    with scoped(busy.pk):
        blocked_calls.follow(workspace_id=busy.pk, now=NOW + timedelta(minutes=1))
        parties.count(workspace_id=busy.pk, now=NOW + timedelta(minutes=1))

    page = text(owner.get(reverse("monitoring:panel-top")).content.decode())
    calls = unescape(owner.get(reverse("monitoring:panel-top"), {"top": "calls"}).content.decode())

    assert "+1 415-555-0100 13" in page
    assert "+44 20 7946 0018 12" in page
    assert "Latvia 60" in text(calls)
    href = re.search(r'href="([^"]+country__exact=LV[^"]*)"', calls)
    assert href
    assert {row.country for row in owner.get(href[1]).context["cl"].result_list} == {"LV"}


def test_calls_around_the_gate_are_an_open_matter(owner, busy):
    with scoped(busy.pk):
        make_call(NOW - timedelta(hours=2), gating="ungated", way_around="private_key")

    html = home(owner)

    assert "1 call or chat at UponAI did not pass the gate in 24 hours" in text(html)
    assert f'href="{reverse("ungated-page")}"' in html


def test_an_alert_that_nobody_has_seen_is_told_with_its_sentence(owner, busy):
    with scoped(busy.pk):
        Alert.objects.create(kind="key_refused", sentence="UponAI refuses the key.", raised_at=NOW)
        Alert.objects.create(kind="sync_failed", sentence="Resolved.", raised_at=NOW, resolved_at=NOW)

    html = home(owner)

    assert "1 alert not seen: UponAI refuses the key." in text(html)
    assert f'href="{reverse("admin:monitoring_alert_changelist")}"' in html


def test_a_store_that_is_down_is_said(owner, busy, settings):
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    line.connection.cache_clear()
    try:
        assert "The live store does not answer" in text(home(owner))
    finally:
        line.connection.cache_clear()


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ({"key_refused_at": NOW}, "UponAI refuses the key of this workspace"),
        ({"blocked_until": NOW + timedelta(seconds=40)}, "UponAI does not answer. Its next try is in 40 s"),
    ],
)
def test_trouble_with_uponai_is_said(owner, busy, trouble, said):
    with scoped(busy.pk):
        UponaiConnection.objects.update_or_create(workspace=busy, defaults=trouble)

    assert said in text(home(owner))
