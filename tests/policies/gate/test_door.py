"""The door before every webhook: which keys it believes, and for how long."""

import time
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from accounts import workspaces
from policies.gate import snapshots, store
from tests.factories import UPONAI_KEY, make_phone_number, moment
from tests.policies.gate.webhooks import ACCEPTED, OUR_NUMBER, body, deliver, signed

pytestmark = pytest.mark.django_db


@pytest.fixture
def number(workspace):
    return make_phone_number(workspace, OUR_NUMBER)


def test_believes_an_old_key_no_longer_than_its_grace_even_when_warm(workspace, number):
    grace = moment() + timedelta(seconds=2)
    workspaces.set_uponai_key(
        workspace=workspace, key="key_second", acting_user=None, now=moment(), old_verifies_until=grace
    )
    store.publish_version(workspace.pk, snapshots.load(workspace.pk).version)
    content = body(call_id="call_1")

    assert deliver(workspace, content, signed(content, key=UPONAI_KEY)).status_code == 200
    time.sleep(max(0.0, (grace - moment()).total_seconds()) + 0.05)
    assert deliver(workspace, content, signed(content, key=UPONAI_KEY)).status_code == 401
    assert deliver(workspace, content, signed(content, key="key_second")).status_code == 200


def _away(execute, *arguments):
    raise OperationalError("the database is away")


def test_turns_a_forged_webhook_away_while_the_database_is_away(workspace, number, monkeypatch):
    deliver(workspace, body(call_id="call_1"))
    monkeypatch.setattr(snapshots, "POLL_SECONDS", 0.0)

    with connection.execute_wrapper(_away):
        forged = deliver(workspace, body(), signed(body(), key="key_of_somebody_else"))

    assert forged.status_code == 401


def test_rejects_when_it_cannot_know_whose_address_it_is(workspace, number):
    snapshots.forget()

    def away(execute, sql, params, many, context):
        raise OperationalError("the database is away")

    with connection.execute_wrapper(away):
        answer = deliver(workspace, body(call_id="call_1"))

    assert answer.json() == {"call_inbound": {"reject": True}, "chat_inbound": {"reject": True}}
    assert deliver(workspace, body(call_id="call_1")).json() == ACCEPTED
