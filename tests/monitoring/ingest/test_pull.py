"""UponAI's lists fill what webhooks missed, and take nothing away from what is known."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from accounts.scoping import scoped
from monitoring.ingest import concurrency, pull
from monitoring.models import Call, ConcurrencySample, PullProgress
from policies.gate import recorder
from policies.sync import connection
from tests.factories import make_phone_number, make_workspace, moment
from tests.monitoring.ingest.events import CANADIAN, OUR_NUMBER, call_event, process, send
from tests.monitoring.ingest.pulling import call_of, pull_now
from tests.sandbox.conftest import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def workspace(db):
    return make_workspace(requests_per_second=1000)


def _report(workspace, *items):
    """What one page of UponAI's list brings."""
    report = pull.Report()
    with scoped(workspace.pk):
        pull.take("calls", [item["call"] for item in items], report, now=moment())
    return report


def test_a_listed_call_never_takes_back_what_a_later_event_told(workspace):
    send(workspace, call_event("call_ended", duration_ms=61_000))
    process(workspace)
    before = call_of(workspace, "call_1")

    stale = _report(workspace, call_event("call_started", agent_id="agent_old"))
    send(workspace, call_event("call_analyzed", call_analysis={"call_successful": True}, duration_ms=62_000))
    process(workspace)
    older = _report(workspace, call_event("call_ended", duration_ms=60_000))

    after = call_of(workspace, "call_1")
    assert (stale.new, stale.changed, older.changed) == (0, 0, 0)
    assert (before.status, after.status, after.duration_ms, after.agent) == (
        "ended",
        "ended",
        62_000,
        "agent_reminders",
    )
    assert after.told_by == "webhook"


def test_ends_in_the_same_row_whether_the_list_or_the_webhook_comes_first(workspace):
    _report(workspace, call_event("call_ended", call_id="listed_first"))
    for call_id in ("listed_first", "told_first"):
        for event in ("call_ended", "call_started"):
            send(workspace, call_event(event, call_id=call_id))
    process(workspace)
    report = _report(workspace, *(call_event("call_ended", call_id=one) for one in ("listed_first", "told_first")))

    facts = ("status", "duration_ms", "peer", "started_at", "ended_at", "cost_cents", "rank", "told_by")
    one, other = (call_of(workspace, call_id) for call_id in ("listed_first", "told_first"))
    assert [getattr(one, name) for name in facts] == [getattr(other, name) for name in facts]
    assert report.changed == 0


def test_takes_what_is_no_call_for_nothing(workspace):
    report = pull.Report()
    with scoped(workspace.pk):
        pull.take(
            "calls", [None, 5, {}, {"call_id": 7}, {"call_id": "x\x00y"}, {"call_id": "a" * 500}], report, now=moment()
        )
        pull.take("chats", [{"chat_id": "odd", "chat_status": 5, "start_timestamp": "soon"}], report, now=moment())
    assert report.listed == 1
    assert call_of(workspace, "odd").channel == "chat"


def test_finds_calls_that_came_in_while_nobody_was_asked(workspace, uponai, live_server):
    make_phone_number(workspace, OUR_NUMBER)
    uponai.put("settings", call_seconds=1)
    uponai.add_number(OUR_NUMBER, inbound_webhook_url="http://127.0.0.1:9/nowhere")
    uponai.post("inbound-call", from_number=CANADIAN, to_number=OUR_NUMBER)
    uponai.add_number(OUR_NUMBER, inbound_webhook_url=f"{live_server.url}/hooks/{workspace.endpoint}/inbound")
    uponai.post("inbound-call", from_number="+14165550124", to_number=OUR_NUMBER)
    recorder.drain(now=moment())

    wait_for(lambda: pull_now(workspace) or _count(workspace) == 2)
    pull_now(workspace, clock=lambda: moment() + timedelta(minutes=2))

    with scoped(workspace.pk):
        rows = {call.peer: (call.undecided, call.decision_id is not None) for call in Call.objects.all()}
    assert rows == {CANADIAN: (True, False), "+14165550124": (False, True)}


def _count(workspace):
    with scoped(workspace.pk):
        return Call.objects.count()


def test_finds_a_dial_that_failed_before_it_began(workspace, uponai):
    uponai.add_number(OUR_NUMBER)
    call_id = uponai.dial()
    uponai.post(f"calls/{call_id}", disconnection_reason="dial_no_answer")

    pull_now(workspace)

    call = call_of(workspace, call_id)
    assert (call.status, call.gating) == ("not_connected", "ungated")


def test_reads_on_from_where_it_was_after_trouble(workspace, uponai):
    now = moment()
    with scoped(workspace.pk):
        PullProgress.objects.create(workspace=workspace, kind="calls", read_until=now - timedelta(days=2))
    uponai.post("faults", rate=1, kinds=["500"], seed=1)

    assert pull.pull_if_due(workspace.pk, "calls", clock=lambda: now) is None
    with scoped(workspace.pk):
        row = PullProgress.objects.get(kind="calls")
    assert (row.read_until, row.attempts, row.lease_until) == (now - timedelta(days=2), 1, None)
    assert row.due_at > now
    assert "500" in row.error
    assert (workspace.pk, "calls") not in pull.due(now=now)

    uponai.post("faults", rate=0)
    later = row.due_at + timedelta(seconds=1)
    assert (workspace.pk, "calls") in pull.due(now=later)
    assert pull.pull_if_due(workspace.pk, "calls", clock=lambda: later) is not None
    assert pull.pull_if_due(workspace.pk, "calls", clock=lambda: later) is None
    with scoped(workspace.pk):
        row.refresh_from_db()
    assert (row.read_until, row.error, row.attempts) == (later, "", 0)


def test_imports_history_once_and_goes_on_where_it_was_broken_off(workspace, uponai, capsys):
    uponai.add_number(OUR_NUMBER)
    uponai.put("settings", call_seconds=1)
    call_ids = {uponai.dial() for _ in range(3)}
    wait_for(lambda: all(call.call_status == "ended" for call in uponai.retell.call.list().items))

    def run(*arguments):
        call_command("import_calls", "--workspace", workspace.slug, "--json", *arguments)
        return json.loads(capsys.readouterr().out)

    assert run("--since", "3d")["new"] == 3
    assert run("--since", "3d")["listed"] == 0
    assert run("--since", "5d")["listed"] == 0
    assert run("--since", "5d", "--again")["new"] == 0
    with scoped(workspace.pk):
        assert set(Call.objects.values_list("call_reference", flat=True)) == call_ids
        until = PullProgress.objects.get(kind="calls").history_from
    assert moment() - timedelta(days=5, minutes=5) < until < moment() - timedelta(days=5)

    uponai.put("settings", api_keys=["another"])
    with pytest.raises(CommandError, match="refuses the workspace's key"):
        run("--since", "9d")
    for odd in ("soon", "-3d", "2999-01-01"):
        with pytest.raises(CommandError, match="--since"):
            run(f"--since={odd}")


def test_does_not_hold_against_history_that_it_never_met_the_gate(workspace):
    _report(workspace, call_event("call_ended"))  # of a day before the workspace was here

    assert call_of(workspace, "call_1").gating == ""


def test_samples_what_runs_and_says_so_when_uponai_does_not_answer(workspace, uponai):
    uponai.add_number(OUR_NUMBER)
    uponai.put("settings", call_seconds=60)
    uponai.dial()
    now = moment()

    assert concurrency.sample(workspace.pk, clock=lambda: now).running == 1
    assert concurrency.sample(workspace.pk, clock=lambda: now) is None
    with scoped(workspace.pk):
        running = concurrency.now(now)
        assert (running.running, running.limit, running.is_measured) == (1, 20, True)

    send(workspace, call_event("call_started", start_timestamp=int(now.timestamp() * 1000)))
    process(workspace)
    uponai.post("faults", rate=1, kinds=["500"], seed=1)
    later = now + concurrency.EVERY
    sample = concurrency.sample(workspace.pk, clock=lambda: later)
    assert (sample.running, sample.ours) == (None, 1)
    with scoped(workspace.pk):
        running = concurrency.now(later)
        assert (running.running, running.limit, running.is_measured) == (1, None, False)
        assert concurrency.now(later + timedelta(hours=1)).at is None
        assert [point.running for point in concurrency.series(now - timedelta(hours=1), later + timedelta(hours=1))]
    assert concurrency.forget_old(now=later + concurrency.KEPT - timedelta(minutes=1)) == 0
    assert concurrency.forget_old(now=later + concurrency.KEPT + timedelta(minutes=1)) == 2
    with scoped(workspace.pk):
        assert not ConcurrencySample.objects.exists()


def test_asks_nothing_of_uponai_while_the_connection_is_blocked(workspace, uponai):
    row = connection.of(workspace.pk)
    with scoped(workspace.pk):
        type(row).objects.filter(pk=row.pk).update(disconnected_at=moment())
    before = len(uponai.get("log"))

    pull.sweep(now=moment())

    assert pull.due(now=moment()) == []
    assert concurrency.sample(workspace.pk, clock=moment).running is None
    assert len(uponai.get("log")) == before
