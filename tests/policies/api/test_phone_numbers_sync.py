import time

import pytest

from accounts.models import AuditEntry, UponaiKey
from accounts.scoping import scoped
from policies import bells
from policies.models import SyncTarget, UponaiConnection
from tests.factories import make_phone_number, make_workspace, moment
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

LIST = "/api/v1/phone-numbers/"
NUMBER = f"{LIST}+14155550100/"
INBOUND = "allowed_inbound_country_list"


@pytest.fixture
def client(workspace):
    return client_of(workspace)


@pytest.fixture
def number(workspace):
    return make_phone_number(workspace)


def test_answers_though_nobody_hears_the_bell(
    client, number, nobody_listens, caplog, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        response = client.patch(NUMBER, {INBOUND: ["GB"]})

    assert callbacks
    assert bells.wait_until_rung()
    assert "was not rung" in caplog.text
    assert response.status_code == 200
    assert response.json()["sync"]["state"] == "pending"


def test_waits_until_uponai_has_it(workspace, client, number, monkeypatch):
    looks = []

    def half_a_moment(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            SyncTarget.objects.update(state="synced")

    monkeypatch.setattr(time, "sleep", half_a_moment)

    shown = client.patch(f"{NUMBER}?wait=synced", {INBOUND: ["GB"]}).json()

    assert shown["sync"]["state"] == "synced"
    assert looks == [0.1] * 3


def test_does_not_wait_longer_than_30_seconds(client, number, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))

    shown = client.patch(f"{NUMBER}?wait=synced", {INBOUND: ["GB"]}).json()

    assert shown["sync"]["state"] == "pending"
    assert 30 <= clock[0] - 1000 < 30.2


def test_does_not_wait_for_what_has_failed_for_good(client, number, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: SyncTarget.objects.update(state="failed", error="No key."))

    sync = client.patch(f"{NUMBER}?wait=synced", {INBOUND: ["GB"]}).json()["sync"]

    assert (sync["state"], sync["error"]) == ("failed", "No key.")


def test_does_not_wait_where_nothing_is_sent(workspace, client, number, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("It waited."))
    with scoped(workspace.pk):
        UponaiConnection.objects.create(refused_key=UponaiKey.objects.get().pk, key_refused_at=moment())

    shown = client.patch(f"{NUMBER}?wait=synced", {INBOUND: ["GB"]}).json()

    assert shown["sync"]["state"] == "pending"
    assert "UponAI refuses the workspace's key (401)." in shown["notice"]


def test_refuses_to_wait_for_something_else(client, number):
    assert_problem(client.patch(f"{NUMBER}?wait=forever", {"nickname": "x"}), 422, "wait")
    assert client.get(NUMBER).json()["nickname"] == ""


def test_tries_again_at_once(workspace, client, number):
    with scoped(workspace.pk):
        SyncTarget.objects.update(state="failed", attempts=9, error="UponAI answered 401.", due_at=None)

    sync = client.post(f"{NUMBER}retry/").json()["sync"]

    assert (sync["state"], sync["attempts"], sync["error"]) == ("pending", 0, None)
    assert sync["next_attempt_at"] is not None
    with scoped(workspace.pk):
        assert AuditEntry.objects.order_by("-sequence").first().action == "sync.retry"


def test_does_not_retry_another_workspace_s_number(client):
    make_phone_number(make_workspace(), "+14155550101")

    assert_problem(client.post(f"{LIST}+14155550101/retry/"), 404)
