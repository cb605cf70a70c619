"""The demo is seeded into a real sandbox process, judged by the real engine, and seeded only once."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db.models import Sum

from accounts import audit, workspaces
from accounts.models import KycRecord, Membership, PublicKey, Subject, User, Workspace
from accounts.scoping import scoped, unscoped
from monitoring.demo import cast, phone_numbers, today
from monitoring.demo.seeding import CannotSeed, Size, seed
from monitoring.detection.series import Point, band
from monitoring.ingest import blocked_calls, parties, rollups
from monitoring.ingest.rollups import HOUR
from monitoring.models import AgentSeen, BlockedCall, Call, ConcurrencySample, UsageBucket
from policies import connecting
from policies.gate import rebuild, store
from policies.models import CountryPolicy, Decision, PhoneNumber, SyncTarget
from policies.sync import drift, push
from tests import servers
from tests.monitoring.dashboards.rows import make_call
from tests.monitoring.ingest.test_blocked_calls import make_dial
from tests.policies.gate.charges import charge
from tests.rest import client_of
from tests.sandbox.conftest import API_KEY, Sandbox

NOW = datetime(2026, 3, 12, 15, 40, tzinfo=UTC)
SMALL = Size(days=4, scale=0.15)


@pytest.fixture(scope="module")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    sandbox.kill()


@pytest.fixture
def sandbox(sandbox_process, settings) -> Sandbox:
    sandbox_process.post("reset")
    settings.UPONAI_API_URL = sandbox_process.url
    settings.SANDBOX_API_KEY = API_KEY
    return sandbox_process


@pytest.fixture
def demo(db, sandbox) -> Iterator[Workspace]:
    seed(now=NOW, size=SMALL)
    workspace = Workspace.objects.get(slug=cast.SLUG)
    with scoped(workspace.pk):
        yield workspace


def rows() -> dict[str, int]:
    models = (Call, Decision, UsageBucket, CountryPolicy, PhoneNumber, PublicKey, KycRecord, Membership)
    return {model.__name__: model.objects.count() for model in models}


def calls_of_all_workspaces() -> int:
    with unscoped(reason="what a run reports is about both workspaces"):
        return Call.objects.count()


def by_hour(*outcomes: str) -> list[Point]:
    counted = dict(UsageBucket.objects.filter(outcome__in=outcomes).values_list("hour").annotate(calls=Sum("calls")))
    zone, hour, points = ZoneInfo(cast.TIME_ZONE), min(counted), []
    while hour <= max(counted):
        local = hour.astimezone(zone)
        points.append(Point(hour, counted.get(hour, 0), local.hour, local.weekday() >= 5))
        hour += HOUR
    return points


def test_it_makes_a_believable_history(demo):
    verdicts = Counter(Decision.objects.values_list("verdict", flat=True))
    reasons = set(Decision.objects.filter(verdict="block").values_list("reason", flat=True))

    assert 250 < Call.objects.count() < 900
    assert verdicts["block"] > 60
    assert {"sanctioned_country", "country_not_allowed", "withheld_number"} <= reasons
    assert {"connected", "not_connected", "blocked"} == set(UsageBucket.objects.values_list("outcome", flat=True))
    first, last = Call.objects.order_by("started_at").first(), Call.objects.order_by("-ended_at").first()
    assert NOW - timedelta(days=5) < first.started_at < NOW - timedelta(days=3)
    assert NOW - timedelta(hours=3) < last.ended_at < NOW

    # A console samples in earnest from its first minute on, while its history is still being made up.
    ConcurrencySample.objects.filter(at__lt=NOW - timedelta(hours=1)).delete()
    today.show(demo, acting_user=User.objects.order_by("pk")[0], days=SMALL.days, now=NOW)
    assert ConcurrencySample.objects.filter(at__lt=NOW - timedelta(days=3), running__gt=0).exists()


def test_blocked_attempts_carry_the_engine_s_trace_and_allowed_ones_of_the_last_day_too(demo):
    for decision in Decision.objects.all():
        assert [line["check"] for line in decision.trace][:4] == ["door", "number", "sanctions", "holds"]
        failed = [line for line in decision.trace if line["outcome"] == "fail"]
        assert bool(failed) == (decision.verdict != "allow")
    allowed = Decision.objects.filter(verdict="allow")
    assert allowed.count() > 50
    assert not allowed.filter(at__lte=NOW - timedelta(hours=24)).exists()
    with_decision = Call.objects.exclude(decision_id=None).values_list("decision_id", flat=True)
    assert set(with_decision) == set(allowed.values_list("decision_id", flat=True))


def test_the_attack_connects_until_the_policy_is_narrowed_and_is_refused_afterwards(demo):
    widget = CountryPolicy.objects.get(name=cast.WIDGET)
    narrowed_at = widget.current_revision.created_at
    foreign = ("LV", "GM", "SL")
    calls = Call.objects.filter(direction="outbound", country__in=foreign)
    refused = Decision.objects.filter(direction="outbound", country__in=foreign, verdict="block")

    assert widget.current_revision.number == 2
    assert calls.count() > 15
    assert refused.count() > 30
    assert calls.order_by("-started_at").first().started_at < narrowed_at
    assert refused.order_by("at").first().at >= narrowed_at
    assert set(refused.values_list("reason", "policy_revision")) == {("country_not_allowed", 2)}


def test_the_attack_is_the_spike_of_usage_and_of_blocked_calls(demo):
    attack = cast.attack_before(NOW, {})
    hours = {attack.starts_at.replace(minute=0) + HOUR * number for number in range(3)}

    for outcomes in (("connected", "not_connected"), ("blocked",)):
        spikes = {point.t for point in band(by_hour(*outcomes)) if point.is_spike}
        assert spikes
        assert spikes <= hours


def test_what_was_called_and_blocked_is_the_same_figure_everywhere(demo, client):
    number = PhoneNumber.objects.order_by("pk")[0]
    make_dial(NOW - timedelta(minutes=70), from_number=number.e164)
    later = NOW + timedelta(minutes=1)
    full = {"phone_number": number.e164, "disconnection_reason": "concurrency_limit_reached", "changed_at": later}
    make_call(NOW - timedelta(hours=30), **full)
    blocked_calls.follow(workspace_id=demo.pk, now=later)
    rollups.roll_up(workspace_id=demo.pk, now=later)
    parties.count(workspace_id=demo.pk, now=later)
    sources = Counter(BlockedCall.objects.values_list("source", flat=True))
    total, calls = sources.total(), Call.objects.count()
    assert sources.keys() == {"gate", "inbound", "refused", "not_connected"}
    rest, span = client_of(demo), {"from": (NOW - timedelta(days=6)).isoformat(), "to": later.isoformat()}

    listed = 0
    page = f"/api/v1/blocked-calls/?{urlencode(span)}&page_size=200"
    while page:
        body = rest.get(page).json()
        listed, page = listed + len(body["results"]), body["next"]
    assert listed == total
    for by in ("country", "channel", "direction", "number_class", "day", "hour"):
        series = rest.get("/api/v1/usage/", {"metric": "calls", "by": by, **span}).json()["series"]
        assert (by, sum(point["blocked"] for point in series)) == (by, total)
        assert (by, sum(point["value"] for point in series)) == (by, calls)
    series = rest.get("/api/v1/usage/", {"metric": "calls", "by": "reason", **span}).json()["series"]
    assert sum(point["value"] for point in series) == total
    series = rest.get("/api/v1/usage/", {"metric": "calls", "by": "phone_number", **span}).json()["series"]
    of_numbers = Counter(BlockedCall.objects.exclude(phone_number="").values_list("phone_number", flat=True))
    assert {point["key"]: point["blocked"] for point in series if point["blocked"]} == of_numbers

    client.force_login(User.objects.get(email="owner@demo.example"))
    with time_machine.travel(NOW, tick=False):
        shown = client.get("/admin/", {"period": "7d"}).context_data
    bars = shown["blocked_chart"].table.rows
    assert sum(int(row.cells[-1].replace(",", "")) for row in bars) == total
    assert sum(int(row.blocked.replace(",", "")) for row in shown["world"].rows) == total
    ours = next(one for one in shown["top"].lists if one.title == "Our numbers")
    assert [line.party.amount for line in ours.lines] == [count for _, count in of_numbers.most_common(5)]
    cents = UsageBucket.objects.aggregate(cents=Sum("cost_cents"))["cents"]
    assert abs(cents - Call.objects.aggregate(cents=Sum("cost_cents"))["cents"]) < Decimal("0.01")


def test_the_first_attempt_after_seeding_finds_room_in_the_counters(demo):
    for workspace in Workspace.objects.all():
        rebuild.rebuild(workspace.pk, now=NOW)
        assert [usage.has_room for usage in store.look(workspace.pk, [charge()])] == [True]


def test_a_second_run_adds_nothing(demo):
    before = rows()

    report = seed(now=NOW + timedelta(minutes=9), size=SMALL)

    assert (report.phone_numbers, report.calls, report.decisions) == (0, 0, 0)
    assert rows() == before


def test_a_later_run_adds_the_time_since_and_leaves_what_people_changed(demo):
    before, calls_before = rows(), calls_of_all_workspaces()
    PublicKey.objects.filter(name=cast.PARTNER_KEY).update(name="Partners")
    CountryPolicy.objects.filter(name=cast.LEGACY).update(name="To be reviewed")

    report = seed(now=NOW + timedelta(hours=30), size=SMALL)

    assert report.calls > 30
    after = rows()
    assert calls_of_all_workspaces() == calls_before + report.calls
    assert {name: after[name] for name in ("CountryPolicy", "PublicKey", "KycRecord")} == {
        name: before[name] for name in ("CountryPolicy", "PublicKey", "KycRecord")
    }


def test_a_seeding_that_stopped_half_way_is_completed(db, sandbox):
    days: list[int] = []

    def stop_after_two_days(step: str, done: int, total: int) -> None:
        if step == "Days of traffic":
            days.append(done)
        if len(days) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seed(now=NOW, size=SMALL, tell=stop_after_two_days)
    workspace = Workspace.objects.get(slug=cast.SLUG)
    with scoped(workspace.pk):
        half = calls_of_all_workspaces()
        report = seed(now=NOW + timedelta(minutes=1), size=SMALL)

        assert 0 < half < calls_of_all_workspaces() == half + report.calls + today.AROUND
        assert Call.objects.filter(started_at__lt=NOW - timedelta(days=3)).exists()
        assert PhoneNumber.objects.count() == len(cast.LINES)
        counted = UsageBucket.objects.exclude(outcome="blocked").aggregate(calls=Sum("calls"))
        assert counted["calls"] == Call.objects.count()


def test_numbers_come_from_the_sandbox_follow_their_policies_and_reach_uponai(demo, sandbox, settings):
    for sync_target_id in SyncTarget.objects.values_list("pk", flat=True):
        push.push(sync_target_id, clock=lambda: NOW + timedelta(seconds=5))

    at_uponai = {number.phone_number: number for number in sandbox.retell.phone_number.list().items}
    assert set(at_uponai) == {line.e164 for line in cast.LINES}
    followed = dict(PhoneNumber.objects.values_list("e164", "policy__name"))
    assert followed == {line.e164: line.policy for line in cast.LINES}
    assert set(CountryPolicy.objects.values_list("name", flat=True)) == {policy.name for policy in cast.POLICIES}
    front_desk, after_hours = at_uponai[cast.FRONT_DESK.e164], at_uponai[cast.AFTER_HOURS.e164]
    assert front_desk.allowed_inbound_country_list == ["CA", "PT", "US"]  # Portugal is open for a time
    assert front_desk.inbound_webhook_url == f"{settings.CONSOLE_URL}/hooks/{demo.endpoint}/inbound"
    assert PhoneNumber.objects.get(e164=after_hours.phone_number).inbound_when_console_down == "dropped"
    assert set(SyncTarget.objects.values_list("state", flat=True)) == {"synced"}


def test_one_number_was_changed_at_uponai_and_that_is_found(demo):
    for sync_target_id in SyncTarget.objects.values_list("pk", flat=True):
        push.push(sync_target_id, clock=lambda: NOW + timedelta(seconds=5))

    [found] = drift.check(demo.pk, clock=lambda: NOW + timedelta(minutes=15)).found

    assert (found.phone_number, found.outcome) == (cast.CHANGED_BEHIND.e164, "left")
    assert found.sentence == "UponAI does not allow Mexico to be called"


def test_a_console_on_another_port_gets_its_webhooks(demo, sandbox, settings):
    settings.CONSOLE_URL = "http://127.0.0.1:8999"

    seed(now=NOW, size=SMALL)

    urls = {number.inbound_webhook_url for number in sandbox.retell.phone_number.list().items}
    assert urls == {f"http://127.0.0.1:8999/hooks/{demo.endpoint}/inbound"}
    assert set(PhoneNumber.objects.values_list("asks_console", flat=True)) == {True}
    assert connecting.connection_of(demo.pk).org_name == "Sandbox"


def test_people_can_sign_in_and_have_one_role_each(demo, settings):
    roles = dict(Membership.objects.values_list("user__email", "role"))
    assert roles == {row[0]: row[2] for row in cast.PEOPLE}
    assert all(user.check_password(settings.DEMO_PASSWORD) for user in User.objects.all())
    assert workspaces.uponai_key(demo.pk) == API_KEY


def test_records_stand_in_every_state_and_the_audit_trail_verifies(demo):
    assert set(KycRecord.objects.values_list("state", flat=True)) == set(KycRecord.State.values)
    [erased] = Subject.objects.exclude(erased_at=None)
    assert erased.reference == f"erased-{erased.pk}"
    assert set(KycRecord.objects.filter(state="erased").values_list("subject", flat=True)) == {erased.pk}
    found = audit.verify(demo.pk)
    assert (found.problem, found.entries > 60) == ("", True)


def test_a_second_workspace_has_only_chats_and_web_calls(demo):
    second = Workspace.objects.get(slug=cast.SECOND_SLUG)
    with scoped(second.pk):
        assert not PhoneNumber.objects.exists()
        assert {"chat", "web_call"} >= set(Call.objects.values_list("channel", flat=True))
        listed = set(AgentSeen.objects.exclude(last_event_at=None).values_list("agent", flat=True))
        assert listed == set(Call.objects.values_list("agent", flat=True))


def test_the_command_is_quiet_in_a_pipe_and_sums_up_as_json(db, sandbox, capsys):
    call_command("seed_demo")
    quiet = capsys.readouterr()
    out = io.StringIO()
    call_command("seed_demo", "--json", stdout=out)

    assert (quiet.out, quiet.err) == ("", "")
    summary = json.loads(out.getvalue())
    assert {"phone_numbers": 0, "calls": 0, "decisions": 0}.items() <= summary.items()
    with scoped(Workspace.objects.get(slug=cast.SLUG).pk):
        assert Call.objects.count() + Decision.objects.filter(verdict="block").count() > 17_000


def test_what_is_missing_is_said_in_one_sentence_and_nothing_is_written(db, sandbox, settings):
    settings.SANDBOX_API_KEY = "another key"
    with pytest.raises(CommandError, match="refuses the key in SANDBOX_API_KEY"):
        call_command("seed_demo")
    settings.UPONAI_API_URL = f"http://127.0.0.1:{servers.free_port()}"
    with pytest.raises(CommandError, match="cannot be reached"):
        call_command("seed_demo")
    settings.DEMO_PASSWORD = ""
    with pytest.raises(CannotSeed, match="DEMO_PASSWORD is not set"):
        seed(now=NOW)

    assert not Workspace.objects.exists()
    assert not User.objects.exists()


def test_an_uponai_that_is_no_sandbox_is_left_alone(db, sandbox, settings):
    settings.UPONAI_API_URL = f"{sandbox.url}/v2"
    with pytest.raises(phone_numbers.NoSandbox, match="is not a sandbox"):
        seed(now=NOW)
