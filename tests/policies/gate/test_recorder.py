"""The recorder: what the live store holds becomes rows, once, whole, and whatever happens to the store."""

import dataclasses
import time
import uuid
from datetime import timedelta

import orjson
import pytest
from django.db import InterfaceError, OperationalError, connection
from psycopg.errors import ProgramLimitExceeded

from accounts.models import PublicKey
from accounts.scoping import scoped
from policies.engine.decide import decide
from policies.engine.types import Attempt, Channel, Counts, Direction, Snapshot
from policies.gate import judge, loading, rebuild, recorder, store
from policies.models import Decision, KnownPrefix, RefusedWebhook
from tests.factories import make_phone_number, make_policy, make_workspace, moment
from tests.policies.gate.charges import spend
from tests.policies.gate.webhooks import OUR_NUMBER, body, deliver

pytestmark = pytest.mark.django_db


def test_sets_aside_what_can_never_become_a_row_and_records_the_rest(workspace, caplog):
    make_phone_number(workspace, OUR_NUMBER)
    decisions = store._key(workspace.pk, "decisions")
    deliver(workspace, body(call_id="call_1"))
    store.connection().xadd(decisions, {"decision": b"{from another version}"})
    store.connection().xadd(
        decisions, {"decision": b'{"at":"2026-11-21T00:00:00+00:00","nothing_we_know":1,"would_be":""}'}
    )
    deliver(workspace, body(call_id="call_2"))

    assert recorder.drain(now=moment()) == 2

    with scoped(workspace.pk):
        assert {row.call_reference for row in Decision.objects.all()} == {"call_1", "call_2"}
    assert caplog.text.count("was set aside") == 2
    assert store.undrained(workspace.pk) == []
    assert store.connection().xlen(store._key(workspace.pk, "decisions-set-aside")) == 2


def test_sets_aside_only_the_row_that_the_database_refuses(workspace):
    make_phone_number(workspace, OUR_NUMBER)
    deliver(workspace, body(call_id="call_1"))
    deliver(workspace, body(call_id="call_2"))
    ((_, decision), _) = store.undrained(workspace.pk)
    refused = orjson.loads(decision) | {"verdict": None, "decision_id": str(uuid.uuid4())}
    store.connection().xadd(store._key(workspace.pk, "decisions"), {"decision": orjson.dumps(refused)})

    assert recorder.drain(now=moment()) == 2
    assert store.undrained(workspace.pk) == []


def _facts(**changes):
    """The facts of a decision as the store would hold them."""
    attempt = Attempt(Direction.INBOUND, Channel.PHONE_CALL, from_number="+14155550101", to_number=OUR_NUMBER)
    attempt = dataclasses.replace(attempt, ip=changes.pop("ip", None))
    facts = recorder.facts(
        attempt,
        decide(attempt, Snapshot(workspace_id=1, version=1, home_country="US")),
        decision_id=uuid.uuid4(),
        at=moment(),
    )
    return facts | changes


def _put(workspace, facts):
    store.connection().xadd(store._key(workspace.pk, "decisions"), {"decision": orjson.dumps(facts)})


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("not an address", None),
        ("192.0.2.1\x00", None),
        ("192.0.2.0/24", None),
        ("", None),
        (7, None),
        (False, None),
        (None, None),
    ],
)
def test_keeps_an_address_in_its_one_spelling_and_nothing_that_is_none(workspace, given, kept):
    facts = _facts(ip=given)
    assert facts["ip"] == kept
    _put(workspace, facts)

    assert recorder.drain(now=moment()) == 1
    with scoped(workspace.pk):
        assert Decision.objects.get().ip == kept


@pytest.mark.parametrize(
    "bad",
    [
        {"ip": "not an address"},
        {"ip": "fe80::1%eth0"},
        {"trace": [{"value": "half\x00done"}]},
        {"subject": "nul\x00"},
        {"country": "longer than it may be"},
        {"policy_id": 2**70 // 2**7},
        {"latency_us": "fast"},
        {"reserved_micro": -1},
        {"verdict": None},
        {"verdict": ["block"]},
        {"decision_id": "none"},
        {"subject": {"an": "object"}},
    ],
    ids=str,
)
def test_no_row_that_is_refused_holds_up_the_others(workspace, bad):
    _put(workspace, _facts(call_reference="before"))
    _put(workspace, _facts(call_reference="bad") | bad)
    _put(workspace, _facts(call_reference="after"))

    recorder.drain(now=moment())

    assert store.undrained(workspace.pk) == []
    with scoped(workspace.pk):
        assert {"before", "after"} <= {row.call_reference for row in Decision.objects.all()}


def test_what_is_larger_than_postgresql_can_keep_holds_up_nothing(workspace):
    for reference in ("before", "huge", "after"):
        _put(workspace, _facts(call_reference=reference))

    def refuse(execute, sql, parameters, many, context):
        if "INSERT" in sql and "huge" in str(parameters):
            raise OperationalError("the row is too large") from ProgramLimitExceeded()
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(refuse):
        assert recorder.drain(now=moment()) == 2
    assert store.undrained(workspace.pk) == []


@pytest.mark.parametrize("trouble", [OperationalError, InterfaceError])
def test_keeps_what_cannot_be_written_now_and_records_for_the_others(workspace, caplog, trouble):
    other, others_number = make_workspace(), "+14155550199"
    for where, number in ((workspace, OUR_NUMBER), (other, others_number)):
        make_phone_number(where, number)
        deliver(where, body(to_number=number, call_id="call_1"))

    def away(execute, sql, parameters, many, context):
        if "INSERT" in sql and OUR_NUMBER in parameters:
            raise trouble("the disk is full")
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(away):
        assert recorder.drain(now=moment()) == 1

    assert f"workspace {workspace.pk} could not be written" in caplog.text
    assert len(store.undrained(workspace.pk)) == 1
    assert recorder.drain(now=moment()) == 1


def test_forgets_in_the_store_what_is_written(workspace):
    make_phone_number(workspace, OUR_NUMBER)
    deliver(workspace, body(call_id="call_1"))

    assert recorder.drain(now=moment()) == 1
    assert store.undrained(workspace.pk) == []


def test_keeps_the_whole_reference_of_a_call(workspace):
    make_phone_number(workspace, OUR_NUMBER)
    reference = "call_" + "x" * 100
    deliver(workspace, body(call_id=reference))

    recorder.drain(now=moment())

    with scoped(workspace.pk):
        assert Decision.objects.get().call_reference == reference


def test_never_lowers_a_count_when_the_store_was_emptied(workspace):
    def refuse(times):
        for _ in range(times):
            deliver(workspace, body(), {})
        recorder.drain_refused(now=moment())
        with scoped(workspace.pk):
            return RefusedWebhook.objects.get().requests

    assert refuse(2) == 2
    store.connection().flushdb()
    assert refuse(1) == 2
    assert refuse(2) == 3


# --- What the store counted -------------------------------------------------------------------------


@pytest.fixture
def outbound(workspace):
    """Decides about outbound calls with a key that may call twice a minute."""
    with scoped(workspace.pk):
        key = PublicKey.objects.create(
            workspace=workspace,
            name="web",
            key="pk_web",
            domains=["example.com"],
            channels=["phone_call"],
            phone_number=OUR_NUMBER,
            limits={"ip": {"limit": 1, "window": 600}},
        )
    make_phone_number(workspace, OUR_NUMBER, policy=make_policy(workspace))
    rebuild.rebuild(workspace.pk, now=moment())
    loaded = loading.load(workspace.pk)

    def decide(to_number="+14155550101", key=key):
        attempt = Attempt(
            Direction.OUTBOUND,
            Channel.PHONE_CALL,
            from_number=OUR_NUMBER,
            to_number=to_number,
            ip="192.0.2.1",
            public_key=key.key,
            origin="https://example.com",
        )
        asked = judge.Asked(
            attempt, uuid.uuid4(), moment(), time.perf_counter(), f"key:{key.pk}", "https://example.com"
        )
        verdict, _ = judge.decide_and_spend(
            loaded,
            asked,
            key=None,
            counts=Counts(at_door=True),
            answers=lambda verdict: judge.Answers(),
            whatever_version=True,
        )
        return verdict, asked

    decide.key = key
    return decide


def test_writes_what_was_counted_into_the_decision(workspace, outbound, in_workspace):
    verdicts = [outbound() for _ in range(2)]
    assert [verdict.verdict for verdict, _ in verdicts] == ["allow", "block"]

    recorder.drain(now=moment())

    allowed, limited = Decision.objects.order_by("at")
    assert (allowed.verdict, allowed.reason) == ("allow", "")
    assert (limited.verdict, limited.reason, limited.reasons) == ("block", "rate_limited", ["rate_limited"])
    assert [line["outcome"] for line in allowed.trace if line["check"] in ("limits", "caps")] == ["pass", "pass"]
    refusal = verdicts[1][0].as_dict()
    assert (limited.trace, limited.counterfactuals) == (refusal["trace"], refusal["counterfactuals"])
    assert limited.decision_id == verdicts[1][1].decision_id
    assert (allowed.call_seconds, allowed.reserved_micro) == (180, verdicts[0][0].reserved_micro)
    assert allowed.reserved_micro > 0
    assert (limited.call_seconds, limited.reserved_micro) == (None, 0)
    assert (allowed.credential, allowed.origin) == (f"key:{outbound.key.pk}", "https://example.com")


def test_notes_when_a_key_was_used_last_and_never_sets_that_back(workspace, outbound, in_workspace):
    _, asked = outbound()
    recorder.drain(now=moment())
    outbound.key.refresh_from_db()
    assert outbound.key.last_used_at == asked.now

    later = moment() + timedelta(hours=1)
    PublicKey.objects.filter(pk=outbound.key.pk).update(last_used_at=later)
    outbound()
    recorder.drain(now=moment())
    outbound.key.refresh_from_db()
    assert outbound.key.last_used_at == later


def test_remembers_the_prefixes_that_were_called_and_only_those(workspace, outbound, in_workspace):
    _, asked = outbound("+14155550101")
    outbound("+14165550102")  # limited
    recorder.drain(now=moment())
    deliver(workspace, body("+14165550103", call_id="call_1"))
    recorder.drain(now=moment())

    ((prefix, first_at),) = KnownPrefix.objects.values_list("prefix", "first_at")
    assert (prefix, first_at) == ("+1415555", asked.now)
    known = store.connection().zrange(store._key(workspace.pk, "known"), 0, -1, withscores=True)
    assert known == [(b"+1415555", int(asked.now.timestamp() * 1000))]


def test_writes_decisions_itself_where_no_worker_does(workspace, monkeypatch):
    monkeypatch.setattr(store, "MOST_UNDRAINED", 2)
    make_phone_number(workspace, OUR_NUMBER)
    for number in range(3):
        assert spend(workspace).is_backlogged == (number == 2)
    store.connection().delete(store._key(workspace.pk, "decisions"))
    deliver(workspace, body(call_id="call_1"))

    recorder._relieving.acquire()
    recorder.relieve(workspace.pk)  # somebody is at it already
    recorder._relieve(workspace.pk)

    assert not recorder._relieving.locked()
    with scoped(workspace.pk):
        assert Decision.objects.count() == 1
    assert store.undrained(workspace.pk) == []
