"""Callers who call too often, too shortly or without a number: guarded or rejected, alike on every retry."""

from __future__ import annotations

import pytest

from accounts.scoping import scoped
from policies.gate import recorder, snapshots
from policies.models import Decision
from tests.factories import make_phone_number, moment
from tests.monitoring.ingest.events import call_event, process, send
from tests.policies.gate.webhooks import ACCEPTED, CANADIAN, OUR_NUMBER, REJECTED, body, deliver

pytestmark = pytest.mark.django_db(transaction=True)

OTHER = "+14165550199"
GUARDED = {
    "call_inbound": {
        "metadata": {"gate": "guard"},
        "override_agent_id": "agent_guarded",
        "agent_override": {"agent": {"max_call_duration_ms": 60_000}},
    }
}
CALLER, FLOOD, SHORT = 8, 20, 5  # the factory's limits


@pytest.fixture
def number(workspace):
    row = make_phone_number(workspace, OUR_NUMBER, guarded_agent="agent_guarded")
    deliver(workspace, body(OTHER, call_id="warm"))
    deliver(workspace, body(OTHER, call_id="warm again"))
    recorder.drain(now=moment())
    return row


def call(workspace, number, caller=CANADIAN):
    return deliver(workspace, body(caller, call_id=f"call_{caller}_{number}")).json()


def decisions(workspace, peer=CANADIAN):
    recorder.drain(now=moment())
    with scoped(workspace.pk):
        return list(Decision.objects.filter(peer_text=peer).order_by("id"))


def test_one_who_calls_too_often_is_guarded_and_a_flood_is_rejected(workspace, number):
    answers = [call(workspace, one) for one in range(FLOOD + 3)]

    assert answers == [ACCEPTED] * CALLER + [GUARDED] * (FLOOD - CALLER) + [REJECTED] * 3
    assert call(workspace, "other", caller=OTHER) == ACCEPTED
    verdicts = [row.verdict for row in decisions(workspace)]
    assert verdicts == ["allow"] * CALLER + ["guard"] * (FLOOD - CALLER) + ["block"] * 3
    assert {row.reason for row in decisions(workspace)[CALLER:]} == {"rate_limited"}


def test_a_retry_is_answered_alike_and_counted_once(workspace, number):
    for one in range(CALLER):
        assert [call(workspace, one) for _ in range(4)] == [ACCEPTED] * 4

    assert [call(workspace, "next") for _ in range(4)] == [GUARDED] * 4
    assert call(workspace, 0) == ACCEPTED
    assert len(decisions(workspace)) == CALLER + 1


def test_short_calls_that_the_caller_ends_make_the_next_one_guarded(workspace, number):
    for one in range(SHORT):
        hang_up(workspace, f"call_{one}")
    assert call(workspace, "next") == GUARDED
    assert call(workspace, "next", caller=OTHER) == ACCEPTED


@pytest.mark.parametrize(
    "more",
    [
        {"duration_ms": 12_000},
        {"disconnection_reason": "agent_hangup"},
        {"direction": "outbound", "from_number": OUR_NUMBER, "to_number": CANADIAN},
        {"call_type": "web_call"},
    ],
)
def test_other_calls_are_no_short_calls_of_a_caller(workspace, number, more):
    for one in range(SHORT + 1):
        hang_up(workspace, f"call_{one}", **more)

    assert call(workspace, "next") == ACCEPTED


def test_a_short_call_is_counted_once_however_often_it_is_told(workspace, number):
    for one in range(SHORT - 1):
        for event in ("call_ended", "call_ended", "call_analyzed"):
            hang_up(workspace, f"call_{one}", event=event)

    assert call(workspace, "next") == ACCEPTED


def test_short_calls_are_not_missed_when_the_store_is_away(workspace, number, nobody_listens):
    hang_up(workspace, "call_1")

    assert call(workspace, "next") == ACCEPTED


def hang_up(workspace, call_id, **more):
    assert send(workspace, ended(call_id, **more)) == 204
    process(workspace)


def ended(call_id, *, event="call_ended", **more):
    now_ms = int(moment().timestamp() * 1000)  # of what ended long ago nobody is warned any more
    details = {"direction": "inbound", "from_number": CANADIAN, "to_number": OUR_NUMBER, "duration_ms": 4_000}
    details |= {"start_timestamp": now_ms - 4_000, "end_timestamp": now_ms}
    return call_event(event, call_id, **details | more)


def test_callers_without_a_number_are_rejected_unless_the_policy_says_otherwise(workspace, number):
    assert [call(workspace, 1, caller=caller) for caller in ("anonymous", "", "Restricted")] == [REJECTED] * 3


def test_messages_have_limits_of_their_own(workspace, number):
    for one in range(CALLER):
        assert call(workspace, one) == ACCEPTED

    content = body(CANADIAN, chat_id="chat_1").replace(b"call_inbound", b"chat_inbound")
    answer = deliver(workspace, content).json()

    assert answer == {"chat_inbound": {}}
    assert call(workspace, "next") == GUARDED


def test_an_observed_number_turns_nobody_away_and_says_what_would_have_been(workspace, number):
    with scoped(workspace.pk):
        type(number).objects.filter(pk=number.pk).update(mode="observing")
    snapshots.forget()

    assert [call(workspace, one) for one in range(FLOOD + 2)] == [ACCEPTED] * (FLOOD + 2)

    assert {row.would_be for row in decisions(workspace)} == {"", "guard", "block"}
