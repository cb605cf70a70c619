"""The judge: whatever is away or odd, there is an answer, and it never opens a number by accident."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models import F

from accounts.scoping import scoped
from policies import actions
from policies.gate import inbound_judge, recorder, snapshots, store
from policies.models import Decision
from tests.factories import make_phone_number, moment
from tests.policies.gate.webhooks import ACCEPTED, CANADIAN, JAMAICAN, OUR_NUMBER, REJECTED, body, deliver

pytestmark = pytest.mark.django_db


@pytest.fixture
def number(workspace):
    return make_phone_number(workspace, OUR_NUMBER)


@pytest.fixture
def store_that_only_reads():
    """An emptied store that refuses to write, as one does that has lost its replicas or its disk."""
    store.connection().config_set("min-replicas-to-write", 1)
    yield
    store.connection().config_set("min-replicas-to-write", 0)


def test_decides_without_a_store_that_only_reads(workspace, number, store_that_only_reads):
    assert deliver(workspace, body(CANADIAN, call_id="call_1")).json() == ACCEPTED
    assert deliver(workspace, body(JAMAICAN, call_id="call_2")).json() == REJECTED
    with scoped(workspace.pk):
        assert [row.degraded for row in Decision.objects.all()] == [True, True]


def test_records_although_the_store_knows_a_version_that_nobody_can_load(workspace, number):
    deliver(workspace, body(call_id="call_0"))
    store.publish_version(workspace.pk, 999)

    assert deliver(workspace, body(CANADIAN, call_id="call_1")).json() == ACCEPTED
    assert len(store.undrained(workspace.pk)) == 2


def test_keeps_no_answer_for_ever(workspace, number):
    deliver(workspace, body(call_id="call_1"))
    deliver(workspace, body())

    keys = store.connection().keys("*:answer:*")
    assert len(keys) == 2
    assert all(0 < store.connection().ttl(key) <= store.ANSWER_BY_ID_SECONDS for key in keys)


def test_takes_a_message_for_no_retry_of_a_call_of_the_same_name(workspace, number):
    message = body(CANADIAN, chat_id="one").replace(b"call_inbound", b"chat_inbound")

    assert deliver(workspace, body(JAMAICAN, call_id="one")).json() == REJECTED
    assert deliver(workspace, message).json() == {"chat_inbound": {}}


def test_counts_the_providers_wait_from_the_last_retry(workspace, number):
    deliver(workspace, body(JAMAICAN))
    (answer,) = store.connection().keys("*:answer:pair:*")
    store.connection().hincrby(answer, "at", -store.LEAST_WAIT_MS)
    deliver(workspace, body(JAMAICAN))  # a retry
    deliver(workspace, body(JAMAICAN))  # too soon for the next: another call

    assert len(store.undrained(workspace.pk)) == 2


def _away(execute, *arguments):
    raise OperationalError("the database is away")


def test_decides_by_the_last_known_policy_while_the_database_is_away(workspace, number):
    deliver(workspace, body(call_id="call_1"))
    store.connection().flushdb()

    with connection.execute_wrapper(_away):
        answers = [deliver(workspace, body(caller, call_id=caller)).json() for caller in (CANADIAN, JAMAICAN)]

    assert answers == [ACCEPTED, REJECTED]


def test_still_decides_with_neither_store_nor_database_and_guards_what_is_too_old(
    workspace, number, store_that_only_reads, monkeypatch
):
    snapshots.for_endpoint(workspace.endpoint)
    monkeypatch.setattr(snapshots, "POLL_SECONDS", 0.0)

    with connection.execute_wrapper(_away):
        fresh = [deliver(workspace, body(caller, call_id=caller)).json() for caller in (CANADIAN, JAMAICAN)]
        monkeypatch.setattr(inbound_judge, "OLDEST_SNAPSHOT_SECONDS", 0)
        old = [deliver(workspace, body(caller, call_id=caller)).json() for caller in (CANADIAN, JAMAICAN)]

    assert fresh == [ACCEPTED, REJECTED]
    assert old[0]["call_inbound"]["metadata"] == {"gate": "guard"}
    assert old[1] == REJECTED


def test_guards_by_a_policy_that_is_known_to_be_old_for_too_long(workspace, number, monkeypatch):
    """The store tells that there is a newer one, and the database has been away ever since."""
    deliver(workspace, body(call_id="call_1"))
    store.publish_version(workspace.pk, 999)

    with connection.execute_wrapper(_away):
        fresh = deliver(workspace, body(call_id="call_2")).json()
        monkeypatch.setattr(inbound_judge, "OLDEST_SNAPSHOT_SECONDS", 0)
        old = [deliver(workspace, body(caller, call_id=caller)).json() for caller in (CANADIAN, JAMAICAN)]
    recorder.drain(now=moment())

    assert fresh == ACCEPTED
    assert old[0]["call_inbound"]["metadata"] == {"gate": "guard"}
    assert old[1] == REJECTED
    with scoped(workspace.pk):
        rows = Decision.objects.order_by("pk").values_list("verdict", "degraded")
        assert list(rows) == [("allow", False), ("allow", True), ("guard", True), ("block", True)]


def test_obeys_an_edit_without_the_store(workspace, number, store_that_only_reads, monkeypatch):
    assert deliver(workspace, body(JAMAICAN, call_id="call_1")).json() == REJECTED
    monkeypatch.setattr(snapshots, "POLL_SECONDS", 0.0)
    actions.edit_phone_number(phone_number=number, inbound_countries=["JM"], acting_user=None, now=moment())

    assert deliver(workspace, body(JAMAICAN, call_id="call_2")).json() == ACCEPTED


def test_finds_a_retry_without_id_among_the_rows_and_only_there(workspace, number, store_that_only_reads):
    for caller in (JAMAICAN, JAMAICAN):  # two quick calls
        deliver(workspace, body(caller))
    with scoped(workspace.pk):  # the provider's wait goes by
        Decision.objects.update(at=F("at") - timedelta(milliseconds=store.LEAST_WAIT_MS))
    deliver(workspace, body(JAMAICAN))  # a retry
    deliver(workspace, body(CANADIAN))  # somebody else

    with scoped(workspace.pk):
        assert Decision.objects.count() == 3


@pytest.mark.parametrize("nest", [b"[" * 900 + b"]" * 900, b'{"a":' * 900 + b"1" + b"}" * 900])
@pytest.mark.parametrize("ours", [CANADIAN, OUR_NUMBER])
def test_judges_and_records_a_number_that_is_a_nest(workspace, number, nest, ours):
    bottomless = body().replace(f'"{ours}"'.encode(), nest)

    assert deliver(workspace, bottomless).json() == REJECTED
    assert len(store.undrained(workspace.pk)) == 1


def test_rejects_what_it_cannot_judge(workspace, number, store_that_only_reads, caplog):
    deliver(workspace, body(call_id="call_1"))

    def odd(execute, *arguments):
        raise RuntimeError("something nobody thought of")

    with connection.execute_wrapper(odd):
        response = deliver(workspace, body())

    assert response.json() == {"call_inbound": {"reject": True}, "chat_inbound": {"reject": True}}
    assert "could not be judged" in caplog.text
