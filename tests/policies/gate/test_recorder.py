"""The recorder: what the live store holds becomes rows, once, whole, and whatever happens to the store."""

import pytest

from accounts.scoping import scoped
from policies.gate import recorder, store
from policies.models import Decision, RefusedWebhook
from tests.factories import make_phone_number, make_workspace, moment
from tests.policies.gate.webhooks import OUR_NUMBER, body, deliver

pytestmark = pytest.mark.django_db


def test_records_for_the_others_when_one_workspace_fails(workspace, caplog):
    other = make_workspace()
    make_phone_number(other, OUR_NUMBER)
    store.connection().xadd(store._key(workspace.pk, "decisions"), {"decision": b"{from another version}"})
    deliver(other, body(call_id="call_1"))

    assert recorder.drain(now=moment()) == 1

    with scoped(other.pk):
        assert Decision.objects.count() == 1
    assert f"workspace {workspace.pk} could not be written" in caplog.text


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
