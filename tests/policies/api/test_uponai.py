"""REST for the connection: the same verbs as the page's, in their own words."""

from datetime import datetime, timedelta

import pytest

from accounts.models import Workspace
from policies.models import PhoneNumber, SyncTarget
from policies.sync import push
from tests.factories import UPONAI_KEY, make_phone_number, moment
from tests.policies.sync.conftest import uponai
from tests.rest import assert_problem, client_of

__all__ = ["uponai"]

pytestmark = pytest.mark.django_db

ROOT = "/api/v1/uponai/"
NUMBER, THEIRS = "+14155550100", "https://crm.example.com/calls"


@pytest.fixture
def client(in_workspace, uponai):
    uponai.add_number(NUMBER, inbound_webhook_url=THEIRS)
    return client_of(in_workspace)


def post(client, name, **body):
    return client.post(f"{ROOT}{name}/", body, format="json")


def test_nobody_is_asked_while_there_is_no_connection(client, in_workspace):
    post(client, "connect", key=UPONAI_KEY)
    post(client, "import")
    assert post(client, "disconnect").json()["state"] == "disconnected"

    for ask in ("console", "previous"):
        assert_problem(post(client, "webhooks", ask=ask), 422, "")
        assert_problem(post(client, "webhooks", ask=ask, dry_run=True), 422, "")

    post(client, "connect", key=UPONAI_KEY)
    assert not PhoneNumber.objects.get().asks_console


def test_the_key_before_is_believed_for_a_day_unless_something_else_is_said(client, uponai):
    post(client, "connect", key=UPONAI_KEY)
    uponai.post("settings", api_keys=[UPONAI_KEY, "key_another"])

    state = post(client, "connect", key="key_another").json()

    until = datetime.fromisoformat(state["old_key_verifies_until"])
    assert timedelta(hours=23) < until - moment() <= timedelta(hours=24)


def test_a_connections_whole_life(client, in_workspace, uponai):
    assert client.get(ROOT).json()["org_id"] is None
    state = post(client, "connect", key=UPONAI_KEY, old_key_verifies_for=60).json()
    assert (state["state"], state["org_id"], state["org_name"]) == ("connected", "org_sandbox", "Sandbox")
    assert UPONAI_KEY not in str(state)
    assert state["old_key_verifies_until"] is not None

    preview = post(client, "import", dry_run=True).json()
    assert (preview["dry_run"], preview["added"], preview["phone_numbers"][0]["change"]) == (True, 1, "new")
    assert preview["phone_numbers"][0]["warnings"][0].startswith("Every country may call it")
    assert not PhoneNumber.objects.exists()
    assert post(client, "import").json() == {
        "dry_run": False,
        "found": 1,
        "added": 1,
        "changed": 0,
        "back": 0,
        "missing": 0,
        "flagged": 0,
    }

    assert post(client, "webhooks", ask="console", dry_run=True).json()["changed"][0]["phone_number"] == NUMBER
    assert not PhoneNumber.objects.get().asks_console
    post(client, "webhooks", ask="console", phone_numbers=[NUMBER])
    assert push.push(SyncTarget.objects.get().pk, clock=moment)
    state = client.get(ROOT).json()
    assert (state["phone_numbers"], state["ask_console"], state["reached"]) == (1, 1, None)
    number = client.get(f"/api/v1/phone-numbers/{NUMBER}/").json()
    assert (number["asks_console"], number["chained_webhook_url"]) == (True, THEIRS)

    plan = post(client, "disconnect", put_back=["webhooks"], dry_run=True).json()
    assert f"About calls: {THEIRS} instead of this console." in plan["changes"][0]["details"]
    assert plan["state"] == "connected"
    state = post(client, "disconnect", put_back=["webhooks"]).json()
    assert (state["state"], state["put_back"]) == ("disconnecting", {"total": 1, "done": 0, "refused": []})
    state = post(client, "disconnect", at_once=True).json()
    assert (state["state"], state["put_back"]) == ("disconnected", None)
    assert_problem(post(client, "disconnect"), 422, "put_back")


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("connect", {}, "key"),
        ("connect", {"key": "short"}, "key"),
        ("connect", {"key": "key_of_nobody_here"}, "key"),
        ("connect", {"key": 12}, "key"),
        ("connect", {"key": UPONAI_KEY, "old_key_verifies_for": -1}, "old_key_verifies_for"),
        ("import", {"dry_run": "yes"}, "dry_run"),
        ("import", {"all": True}, "all"),
        ("webhooks", {}, "ask"),
        ("webhooks", {"ask": "nobody"}, "ask"),
        ("webhooks", {"ask": "console", "phone_numbers": ["+14155550199"]}, "phone_numbers"),
        ("disconnect", {"put_back": ["numbers"]}, "put_back.0"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_changes(client, in_workspace, name, body, field):
    problem = post(client, name, **body).json()

    assert problem["status"] == 422
    assert field.split(".")[0] in problem["errors"][0]["field"]
    assert not PhoneNumber.objects.exists()


def test_an_import_says_why_it_cannot_be(in_workspace):
    problem = assert_problem(post(client_of(in_workspace), "import"), 422, "")

    assert "Nothing was imported. UponAI cannot be reached." in problem["errors"][0]["detail"]


def test_another_scope_opens_nothing(in_workspace):
    client = client_of(in_workspace, "uponai:read")

    assert client.get(ROOT).status_code == 200
    for name in ("connect", "import", "webhooks", "disconnect"):
        assert_problem(post(client, name), 403)


def test_a_flagged_number_is_listed_and_confirmed(in_workspace):
    make_phone_number(in_workspace, flagged_since=moment())
    make_phone_number(in_workspace, "+14155550101")
    client = client_of(in_workspace)

    [row] = client.get("/api/v1/phone-numbers/?flagged=true").json()["results"]
    assert row["phone_number"] == NUMBER
    assert client.post(f"/api/v1/phone-numbers/{NUMBER}/confirm/").json()["flagged_since"] is None
    assert client.get("/api/v1/phone-numbers/?flagged=true").json()["results"] == []
    assert Workspace.objects.count() == 1
