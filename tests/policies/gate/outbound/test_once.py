"""Never two calls for one idempotency key, whatever UponAI's wire does (G12), and nothing that stays unknown."""

import itertools
import json
import os
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection

from accounts.scoping import scoped
from fraudconsole.sandbox.faults import Plan
from policies import tasks
from policies.engine.limits import Charge, Measure
from policies.gate import store
from policies.gate.outbound import dials, unresolved
from policies.models import Dial
from policies.uponai import client as uponai_client
from tests.factories import moment
from tests.policies.gate.outbound.conftest import (
    CALL,
    CHAT,
    DIAL,
    LONDON,
    PEER,
    SMS,
    WEB,
    calls,
    faulty,
    no_faults,
    started,
)

pytestmark = pytest.mark.django_db

APPLIED = ("timeout_after", "garbage", "truncated", "slow_drip")
NOT_APPLIED = ("timeout_before", "500", "reset")


def sweep(*, later=timedelta(0)):
    at = moment() + later
    return [unresolved.resolve(dial_id, clock=lambda: at) for dial_id in unresolved.due_dials(now=at)]


def only_this_fails(uponai, kind, path, *, looks=1):
    """The next request to `path` fails, and UponAI's lists answer: which ones do follows from the seed."""
    lists = ("/v3/list-calls", "/v3/list-chats")
    for seed in itertools.count():
        plan = Plan(rate=0.5, kinds=(kind,), seed=seed)
        answers = [plan.draw("POST", name)[0] for name in lists for _ in range(looks)]
        if plan.draw("POST", path)[0] and not any(answers):
            break
    uponai.post("faults", rate=0.5, kinds=[kind], seed=seed, hold_seconds=2, drip_seconds=3)


def reserved(gate, dial):
    """What the counters of money and of running calls hold of a dial: (micro-dollars, calls)."""
    charges = [Charge.from_list(charge) for charge in dial.charges]
    usages = store.look(gate.workspace.pk, charges)
    used = dict.fromkeys(Measure, 0)
    for charge, usage in zip(charges, usages, strict=True):
        used[charge.measure] += usage.used
    return used[Measure.MONEY], used[Measure.RUNNING]


def test_the_same_key_again_gets_the_same_answer_and_no_second_call(gate, uponai):
    first = gate.post(CALL, DIAL, Idempotency_Key="k1")
    again = gate.post(CALL, DIAL, Idempotency_Key="k1")
    in_body = gate.post(CALL, DIAL | {"idempotency_key": "k1"})

    assert [response.status_code for response in (first, again, in_body)] == [201] * 3
    assert first.content == again.content == in_body.content
    assert first["X-Decision-Id"] == again["X-Decision-Id"]
    assert len(calls(uponai)) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"to_number": "+14155550143"},
        {"metadata": {"a": 1}},
        {"agent_override": {"agent": {"max_call_duration_ms": 5000}}},
    ],
)
def test_refuses_the_same_key_for_another_request(gate, uponai, other):
    gate.post(CALL, DIAL, Idempotency_Key="k1")

    response = gate.post(CALL, DIAL | other, Idempotency_Key="k1")

    assert (response.status_code, "Idempotency-Key" in response.json()["message"]) == (422, True)
    assert len(calls(uponai)) == 1


def test_two_credentials_and_two_keys_never_meet(gate, uponai):
    from tests.factories import make_token

    for credential in (gate.token, make_token(gate.workspace, "gate:write")):
        for key in ("k1", "k2"):
            assert gate.post(CALL, DIAL, credential=credential, Idempotency_Key=key).status_code == 201
    decision_id = str(gate.dials()[0].decision_id)
    other = DIAL | {"to_number": "+14155550143"}
    assert gate.post(CALL, other, Idempotency_Key=f"decision:{decision_id}").status_code == 201
    assert gate.post(CALL, other, Idempotency_Key=decision_id).status_code == 201

    assert len(calls(uponai)) == 6


def test_a_visitor_does_not_get_another_visitors_answer(gate, uponai):
    key = gate.key()
    first = gate.page(WEB, key, {}, ip="203.0.113.7", Idempotency_Key="1")
    other = gate.page(WEB, key, {}, ip="203.0.113.8", Idempotency_Key="1")
    again = gate.page(WEB, key, {}, ip="203.0.113.7", Idempotency_Key="1")

    assert (first.status_code, other.status_code, again.status_code) == (201, 422, 201)
    assert first.json()["access_token"] not in other.content.decode()
    assert again.content == first.content
    elsewhere = gate.page(WEB, key, {}, origin="https://evil.example", Idempotency_Key="1")
    assert elsewhere.status_code == 403


def test_keeps_what_lets_somebody_join_a_call_sealed(gate, uponai):
    token = gate.post(WEB, {"agent_id": "agent_web"}, Idempotency_Key="k1").json()["access_token"]

    (dial,) = gate.dials()

    assert dial.answer
    assert token not in dial.answer
    assert gate.post(WEB, {"agent_id": "agent_web"}, Idempotency_Key="k1").json()["access_token"] == token


def test_a_refused_attempt_may_come_again_with_its_key(gate, uponai):
    assert gate.post(CALL, DIAL | {"to_number": LONDON}, Idempotency_Key="k1").status_code == 403
    assert gate.post(CALL, DIAL, Idempotency_Key="k1").status_code == 201


def test_says_that_the_first_is_under_way(gate, uponai):
    gate.post(CALL, DIAL, Idempotency_Key="k1")
    with scoped(gate.workspace.pk):
        Dial.objects.update(state="running", answer="", answer_status=None, due_at=moment() + timedelta(seconds=50))

    response = gate.post(CALL, DIAL, Idempotency_Key="k1")

    assert (response.status_code, response["x-should-retry"], response["Retry-After"]) == (409, "false", "1")
    assert len(calls(uponai)) == 1


def test_the_slower_of_two_dials_nothing_and_gets_the_answer_of_the_quicker(gate, uponai, monkeypatch):
    """Both look for the row before either has written it."""
    key = gate.key()
    find, missed = dials.find, []

    def miss_once(caller, wanted):
        if len(missed) < 2:
            missed.append(caller)
            return None
        return find(caller, wanted)

    monkeypatch.setattr(dials, "find", miss_once)

    first, second = (gate.page(CALL, key, {"to_number": PEER}, Idempotency_Key="k1") for _ in range(2))

    assert (first.status_code, second.content) == (201, first.content)
    assert len(calls(uponai)) == 1
    (dial,) = gate.dials()
    assert reserved(gate, dial)[0] == dial.reserved_micro * _money_charges(dial)


def _money_charges(dial):
    return sum(Charge.from_list(charge).measure is Measure.MONEY for charge in dial.charges if "n" not in charge[6])


@pytest.mark.postgres
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite in memory has one writer, and nobody waits")
@pytest.mark.django_db(transaction=True)
def test_of_many_at_the_same_time_one_dials(gate, uponai):
    gate.post(CHAT, {"agent_id": "agent_chat"})
    answers = []

    def ask():
        try:
            answers.append(gate.post(CALL, DIAL, Idempotency_Key="k1").status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(calls(uponai)) == 1
    assert set(answers) <= {201, 409, 429}
    assert 201 in answers
    assert len(gate.dials()) == 2


@pytest.mark.parametrize("kind", APPLIED)
def test_finds_the_call_that_uponai_made_without_saying_so(gate, uponai, impatient, monkeypatch, kind):
    monkeypatch.setattr(uponai_client, "TOTAL_SECONDS", 0.5)
    only_this_fails(uponai, kind, "/v2/create-phone-call")

    response = gate.post(CALL, DIAL, Idempotency_Key="k1")

    no_faults(uponai)
    (call,) = calls(uponai)
    assert response.status_code == 201
    assert response.json()["call_id"] == call.call_id
    assert gate.post(CALL, DIAL, Idempotency_Key="k1").json()["call_id"] == call.call_id
    (dial,) = gate.dials()
    assert (dial.state, dial.call_id, dial.due_at) == ("done", call.call_id, None)


@pytest.mark.parametrize("kind", APPLIED)
def test_finds_an_sms_or_chat_likewise_and_never_hands_out_a_call_that_cannot_be_joined(
    gate, uponai, impatient, monkeypatch, kind
):
    monkeypatch.setattr(uponai_client, "TOTAL_SECONDS", 0.5)
    only_this_fails(uponai, kind, "/create-sms-chat")
    sms = gate.post(SMS, DIAL, Idempotency_Key="s")
    only_this_fails(uponai, kind, "/create-chat")
    chat = gate.post(CHAT, {"agent_id": "agent_chat"}, Idempotency_Key="c")
    only_this_fails(uponai, kind, "/v3/create-web-call")
    web = gate.post(WEB, {"agent_id": "agent_web"}, Idempotency_Key="w")

    assert (sms.status_code, sms.json()["chat_type"]) == (200, "sms_chat")
    assert (chat.status_code, chat.json()["chat_type"]) == (201, "api_chat")
    assert (web.status_code, web.json()["code"]) == (503, "degraded")
    assert gate.post(WEB, {"agent_id": "agent_web"}, Idempotency_Key="w").content == web.content
    assert len(started(uponai)) == 3
    assert [dial.state for dial in gate.dials()] == ["done"] * 3


@pytest.mark.parametrize("kind", NOT_APPLIED)
def test_what_uponai_never_did_is_given_back_and_not_tried_again(gate, uponai, impatient, kind):
    key, wanted = gate.key(), {"to_number": PEER}
    faulty(uponai, kind, hold_seconds=2)
    first = gate.page(CALL, key, wanted, Idempotency_Key="k1")
    again = gate.page(CALL, key, wanted, Idempotency_Key="k1")
    no_faults(uponai)

    assert (first.status_code, again.status_code) == (503, 503)
    assert first["x-should-retry"] == "false"
    assert gate.page(CALL, key, wanted, Idempotency_Key="k1").status_code == 503
    assert all(reserved(gate, gate.dials()[0]))
    assert sweep(later=timedelta(seconds=6)) == [False]
    assert sweep(later=timedelta(seconds=40)) == [False]
    assert sweep(later=timedelta(minutes=7)) == [True]
    (dial,) = gate.dials()
    assert (dial.state, dial.due_at, dial.cost_micro) == ("never", None, 0)
    assert reserved(gate, dial) == (0, 0)
    last = gate.page(CALL, key, wanted, Idempotency_Key="k1")
    assert (last.status_code, "another Idempotency-Key" in last.json()["message"]) == (503, True)
    assert calls(uponai) == []


def test_a_call_that_is_made_late_is_found_later(gate, uponai, impatient):
    import time

    faulty(uponai, "late_apply", late_seconds=[0.6, 0.6])
    assert gate.post(CALL, DIAL, Idempotency_Key="k1").status_code == 503
    no_faults(uponai)
    ends_at = time.monotonic() + 10
    while not calls(uponai) and time.monotonic() < ends_at:
        time.sleep(0.05)

    assert sweep(later=timedelta(seconds=6)) == [True]

    (call,) = calls(uponai)
    (dial,) = gate.dials()
    assert (dial.state, dial.call_id) == ("done", call.call_id)
    again = gate.post(CALL, DIAL, Idempotency_Key="k1")
    assert (again.status_code, again.json()["call_id"]) == (201, call.call_id)
    assert len(calls(uponai)) == 1


def test_what_was_never_sent_may_come_again_with_its_key(gate, uponai, settings):
    key = gate.key()
    url, settings.UPONAI_API_URL = settings.UPONAI_API_URL, "http://127.0.0.1:9"
    refused = gate.page(CALL, key, {"to_number": PEER}, Idempotency_Key="k1")
    settings.UPONAI_API_URL = url

    assert (refused.status_code, refused.json()["code"]) == (503, "try_later")
    (dial,) = gate.dials()
    assert dial.state == "never"
    assert reserved(gate, dial) == (0, 0)
    assert gate.page(CALL, key, {"to_number": PEER}, Idempotency_Key="k1").status_code == 201
    assert len(calls(uponai)) == 1


@pytest.mark.parametrize("was_dialled", [True, False])
def test_finds_out_what_became_of_a_dial_whose_process_died(gate, uponai, was_dialled):
    """Killed after the row was written: before UponAI was asked, or before its answer was noted."""
    response = gate.post(CALL, DIAL, Idempotency_Key="k1")
    with scoped(gate.workspace.pk):
        facts = {} if was_dialled else {"decision_id": "00000000-0000-4000-8000-000000000001"}
        ago = moment() - timedelta(minutes=2)
        Dial.objects.update(
            state="running",
            call_id="",
            answer="",
            answer_status=None,
            at=ago,
            due_at=ago + timedelta(minutes=1),
            **facts,
        )

    again = gate.post(CALL, DIAL, Idempotency_Key="k1")

    assert len(calls(uponai)) == 1
    if was_dialled:
        assert (again.status_code, again.json()["call_id"]) == (201, response.json()["call_id"])
    else:
        assert again.status_code == 503
        assert sweep() == [False]
        assert gate.dials()[0].state == "unknown"


def test_the_sweep_goes_on_after_trouble_and_says_what_it_was(gate, uponai, impatient):
    faulty(uponai, "500")
    gate.post(CALL, DIAL)
    assert sweep(later=timedelta(seconds=6)) == [False]

    (dial,) = gate.dials()
    assert (dial.state, dial.attempts) == ("unknown", 0)
    assert "500" in dial.error
    assert dial.due_at is not None


def test_two_sweeps_do_not_look_at_the_same_time(gate, uponai, impatient):
    faulty(uponai, "timeout_before", hold_seconds=2)
    gate.post(CALL, DIAL)
    no_faults(uponai)
    at = moment() + timedelta(seconds=6)
    (dial_id,) = unresolved.due_dials(now=at)
    with scoped(gate.workspace.pk):
        Dial.objects.update(due_at=at + timedelta(minutes=1))  # as the other sweep does first

    assert unresolved.resolve(dial_id, clock=lambda: at) is False
    assert gate.dials()[0].attempts == 0


def test_believes_no_list_that_knows_no_filter(gate, uponai, impatient, monkeypatch):
    """A provider that leaves out what it does not know would answer with somebody else's call."""
    from policies.uponai import payloads

    gate.post(CALL, DIAL)
    monkeypatch.setattr(payloads, "criteria_by_decision", lambda decision_id: {})
    faulty(uponai, "timeout_before", hold_seconds=2)
    gate.post(CALL, DIAL)
    no_faults(uponai)

    assert sweep(later=timedelta(seconds=6)) == [False]


def test_asks_by_destination_where_metadata_cannot_be_asked_for(gate, uponai, impatient, monkeypatch):
    from policies.uponai import payloads

    monkeypatch.setattr(payloads, "criteria_by_decision", lambda decision_id: {"no_such_field": {}})
    only_this_fails(uponai, "garbage", "/v2/create-phone-call", looks=2)
    assert gate.post(CALL, DIAL).status_code == 201
    only_this_fails(uponai, "garbage", "/create-sms-chat", looks=2)
    assert gate.post(SMS, DIAL).status_code == 200
    assert [dial.state for dial in gate.dials()] == ["done", "done"]


def test_the_worker_and_the_hand_look_for_what_is_due(gate, uponai, capsys):
    for number, look in enumerate((tasks.sweep_dials, lambda: call_command("drain", "--json")), start=1):
        gate.post(CALL, DIAL)
        with scoped(gate.workspace.pk):
            Dial.objects.filter(state="done").update(state="unknown", call_id="", due_at=moment())
        look()
        assert {dial.state for dial in gate.dials()} == {"done"}
        assert len(calls(uponai)) == number
    assert json.loads(capsys.readouterr().out)["resolved"] == 2


TRIALS = 20 if os.environ.get("ONLY_DATABASE_TESTS") else 60


def test_never_two_calls_for_one_key_in_many_trials(gate, uponai, monkeypatch):
    """G12 at a test's size: every dial fails in some way, and each is asked for three times."""
    monkeypatch.setattr(uponai_client, "READ_SECONDS", 0.15)
    monkeypatch.setattr(uponai_client, "QUICK_READ_SECONDS", 0.15)
    monkeypatch.setattr(uponai_client, "TOTAL_SECONDS", 0.3)
    kinds = ["500", "timeout_before", "timeout_after", "late_apply", "garbage", "truncated", "reset", "429"]
    uponai.post("faults", rate=0.7, kinds=kinds, seed=7, hold_seconds=0.3, late_seconds=[0.05, 0.3])
    answered = {}
    for trial, _ in itertools.product(range(TRIALS), range(3)):
        wanted = {"to_number": f"+1415555{100 + trial:04}", "metadata": {"trial": trial}}
        response = gate.post(CALL, DIAL | wanted, Idempotency_Key=f"t{trial}")
        if response.status_code == 201:
            answered.setdefault(trial, set()).add(response.json()["call_id"])
    no_faults(uponai)
    for later in (6, 60, 600):
        sweep(later=timedelta(seconds=later))

    made = {}
    for call in calls(uponai):
        made.setdefault(call.metadata["trial"], []).append(call.call_id)
    assert max(map(len, made.values())) == 1
    assert all(ids == set(made[trial]) for trial, ids in answered.items())
    rows = [dial for dial in gate.dials() if dial.idempotency_key.startswith("given:")]
    assert {dial.state for dial in rows} <= {"done", "never"}
    assert {dial.call_id for dial in rows if dial.call_id} == {ids[0] for ids in made.values()}
