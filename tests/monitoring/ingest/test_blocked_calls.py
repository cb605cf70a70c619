"""What was blocked, from every source, in one list: each attempt once, whoever tells of it and in whatever order."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from accounts.scoping import scoped
from monitoring.ingest import blocked_calls, parties
from monitoring.models import BlockedCall, Call, PartyBucket, RollupProgress, UsageBucket
from policies import words
from policies.models import Decision, Dial
from policies.uponai import refusals
from tests import factories
from tests.monitoring.dashboards.rows import NOW, list_blocked, make_call, make_decision

LATER = NOW + timedelta(minutes=2)
REFUSAL = 'UponAI answered 400: {"status":"error","message":"Country is not in the allowed outbound country list"}'


@pytest.fixture
def number(in_workspace):
    return factories.make_phone_number(in_workspace)


def make_dial(at=NOW, **facts) -> Dial:
    decision_id = facts.pop("decision_id", None) or uuid.uuid4()
    values = {
        "decision_id": decision_id,
        "at": at,
        "channel": "phone_call",
        "credential": "token:1",
        "idempotency_key": f"decision:{decision_id}",
        "state": Dial.State.DONE,
        "from_number": "+14155550100",
        "to_number": "+447400123456",
        "country": "GB",
        "answer_status": 400,
        "error": REFUSAL,
    }
    return Dial.objects.create(**(values | facts))


def listed() -> list[tuple[str, str]]:
    return list(BlockedCall.objects.order_by("at", "id").values_list("source", "reason"))


def test_every_source_is_in_the_list_with_its_reason(in_workspace, number):
    inbound = make_decision(number, "+442079460018", NOW)
    outbound = make_decision(number, "+5352345678", NOW + timedelta(seconds=1), direction="outbound")
    Decision.objects.filter(pk=outbound.pk).update(credential="token:1")
    make_decision(number, "+12125550123", NOW)
    dial = make_dial(NOW + timedelta(seconds=2))
    call = make_call(NOW + timedelta(seconds=3), status="not_connected", disconnection_reason="network_blocked")
    make_call(NOW, status="not_connected", disconnection_reason="dial_busy")

    assert list_blocked(in_workspace.pk, LATER) == 4

    assert listed() == [
        ("inbound", "country_not_allowed"),
        ("gate", "sanctioned_country"),
        ("refused", "uponai_country_refused"),
        ("not_connected", "uponai_network_blocked"),
    ]
    rows = {row.source: row for row in BlockedCall.objects.all()}
    assert rows["inbound"].reference == str(inbound.decision_id)
    assert (rows["refused"].decision_id, rows["refused"].number_class) == (dial.decision_id, "mobile")
    assert rows["refused"].said == "Country is not in the allowed outbound country list"
    assert (rows["not_connected"].reference, rows["not_connected"].said) == (call.call_reference, "network_blocked")


def test_what_is_only_observed_or_challenged_was_not_blocked(in_workspace, number):
    for verdict in ("challenge", "guard", "allow"):
        decision = make_decision(number, "+442079460018", NOW)
        Decision.objects.filter(pk=decision.pk).update(verdict=verdict, would_be="block")

    assert list_blocked(in_workspace.pk, LATER) == 0


@pytest.mark.parametrize(
    "facts",
    [
        {"answer_status": 503, "error": "UponAI did not answer."},
        {"answer_status": 401},
        {"answer_status": 201, "call_id": "call_x", "error": ""},
        {"answer_status": None, "state": Dial.State.UNKNOWN},
    ],
)
def test_a_fault_on_the_way_is_no_block(in_workspace, facts):
    make_dial(**facts)

    assert list_blocked(in_workspace.pk, LATER) == 0


def test_looking_again_lists_nothing_twice(in_workspace, number):
    make_decision(number, "+442079460018", NOW)
    make_dial()
    make_call(NOW, disconnection_reason="marked_as_spam")
    list_blocked(in_workspace.pk, NOW)
    RollupProgress.objects.update(blocked_until=0, refused_until=0, ended_until=None)

    assert list_blocked(in_workspace.pk, LATER) == 0
    assert BlockedCall.objects.count() == 3


@pytest.mark.parametrize("dial_first", [True, False])
def test_a_refused_dial_and_its_call_count_once(in_workspace, dial_first):
    decision_id = uuid.uuid4()

    def refuse():
        make_dial(decision_id=decision_id)

    def end():
        make_call(NOW, direction="outbound", decision_id=decision_id, disconnection_reason="no_valid_payment")

    for happen in (refuse, end) if dial_first else (end, refuse):
        happen()
        list_blocked(in_workspace.pk, NOW)
    list_blocked(in_workspace.pk, LATER)

    assert [source for source, _reason in listed()] == ["refused" if dial_first else "not_connected"]


def test_a_dial_that_uponai_is_still_being_asked_about_is_found_when_it_is_refused(in_workspace):
    running = make_dial(NOW - timedelta(minutes=1), state=Dial.State.RUNNING, answer_status=None)
    make_dial(NOW - timedelta(seconds=50))
    list_blocked(in_workspace.pk, NOW)
    Dial.objects.filter(pk=running.pk).update(state=Dial.State.DONE, answer_status=403)

    list_blocked(in_workspace.pk, NOW)

    assert listed() == [("refused", "uponai_agent_refused"), ("refused", "uponai_country_refused")]
    list_blocked(in_workspace.pk, LATER)
    assert RollupProgress.objects.get().refused_until == Dial.objects.order_by("-pk")[0].pk


def test_a_row_that_commits_late_is_found(in_workspace, number):
    early, late = make_decision(number, "+442079460018", NOW), make_decision(number, "+442079460019", NOW)
    call = make_call(NOW, disconnection_reason="network_blocked")
    with scoped(in_workspace.pk):  # as if only the later one were visible yet
        Decision.objects.filter(pk=early.pk).update(verdict="allow")
        list_blocked(in_workspace.pk, NOW + timedelta(seconds=5))
        Decision.objects.filter(pk=early.pk).update(verdict="block")
    make_call(NOW, disconnection_reason="network_blocked", changed_at=call.changed_at - timedelta(seconds=2))

    assert list_blocked(in_workspace.pk, NOW + timedelta(seconds=6)) == 2
    assert RollupProgress.objects.get().blocked_until == 0
    list_blocked(in_workspace.pk, LATER)
    assert RollupProgress.objects.get().blocked_until == late.pk


def test_a_long_history_is_listed_batch_by_batch(in_workspace, number, monkeypatch):
    monkeypatch.setattr(blocked_calls, "BATCH", 2)
    for second in range(5):
        make_decision(number, "+442079460018", NOW + timedelta(seconds=second))
        make_dial(NOW + timedelta(seconds=second))
        make_call(NOW, disconnection_reason="invalid_destination")

    assert list_blocked(in_workspace.pk, LATER) == 15
    assert blocked_calls.follow(workspace_id=in_workspace.pk, now=LATER) == 0


def test_what_uponai_tells_later_of_a_call_puts_its_row_right(in_workspace):
    call = make_call(NOW, peer="", country="", disconnection_reason="network_blocked")
    list_blocked(in_workspace.pk, NOW)
    parties.count(workspace_id=in_workspace.pk, now=NOW + timedelta(hours=1))
    began = NOW - timedelta(hours=2)
    Call.objects.filter(pk=call.pk).update(
        peer="+447400123456", country="GB", started_at=began, changed_at=NOW + timedelta(minutes=1)
    )

    assert list_blocked(in_workspace.pk, LATER) == 0
    assert BlockedCall.objects.values_list("peer", "country", "at").get() == ("+447400123456", "GB", began)
    counted = PartyBucket.objects.filter(outcome="blocked").order_by("kind").values_list("value", "calls", "hour")
    hour = began.replace(minute=0)
    assert list(counted.filter(step="hour")) == [("+447400123456", 1, hour), ("+14155550100", 1, hour)]
    assert UsageBucket.objects.filter(outcome="blocked").values_list("country", "calls", "hour").get() == (
        *("GB", 1),
        hour,
    )


def test_another_workspace_s_rows_stay_there(in_workspace, number):
    make_decision(number, "+442079460018", NOW)

    assert list_blocked(factories.make_workspace().pk, LATER) == 0


def test_every_code_of_uponai_s_blocks_has_words():
    codes = {*refusals.BY_STATUS.values(), *refusals.BY_DISCONNECTION_REASON.values(), refusals.COUNTRY_REFUSED}

    assert codes == set(refusals.WORDS)
    assert set(refusals.SAME_AS) <= set(refusals.WORDS)
    assert words.reason("uponai_network_blocked") == "Blocked by a telephone network"
    within = [
        words.inside(words.reason(code)) for code in ("country_not_allowed", "kyc_required", "uponai_budget_reached")
    ]
    assert within == ["country not allowed", "KYC missing", "UponAI budget reached"]


@pytest.mark.parametrize(
    ("note", "said"),
    [
        (REFUSAL, "Country is not in the allowed outbound country list"),
        ("UponAI answered 400: <html>", "<html>"),
        ('UponAI answered 400: {"message": 5}', '{"message": 5}'),
        ("UponAI answered 400: [1]", "[1]"),
        ("", ""),
    ],
)
def test_what_uponai_said_is_found_in_its_answer(note, said):
    assert refusals.message_in(note) == said
