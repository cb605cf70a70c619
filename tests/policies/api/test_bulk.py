"""REST for many numbers at once: whom it is about, what it answers, what it refuses."""

from __future__ import annotations

import pytest

from accounts.scoping import scoped
from policies.models import PhoneNumber
from tests.factories import make_phone_number, make_policy, make_workspace
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

BULK = "/api/v1/phone-numbers/bulk/"


@pytest.fixture
def client(workspace):
    return client_of(workspace)


def modes(workspace):
    with scoped(workspace.pk):
        return list(PhoneNumber.objects.order_by("e164").values_list("mode", flat=True))


def test_changes_the_named_numbers_and_tells_what_changes_at_uponai(workspace, client):
    policy = make_policy(workspace, name="Desk", outbound=["US"])
    for last in range(3):
        make_phone_number(workspace, f"+1415555010{last}", policy=policy)
    named = ["+14155550100", "+14155550101"]

    answer = client.post(BULK, {"phone_numbers": named, "add_outbound_countries": ["gb"]}, format="json")

    assert answer.status_code == 200, answer.json()
    told = answer.json()
    assert (told["phone_numbers"], told["changed"], len(told["new_policies"])) == (2, 2, 1)
    [group] = told["lists"]["groups"]
    assert (group["examples"], group["outbound"]["added"], group["widens"]) == (named, ["GB"], True)
    shown = client.get("/api/v1/phone-numbers/+14155550101/").json()
    assert (shown["allowed_outbound_country_list"], shown["policy"]["id"]) == (["GB", "US"], told["new_policies"][0])
    assert shown["sync"]["state"] == "pending"


def test_all_that_match_are_changed_and_no_foreign_one(workspace, client):
    make_phone_number(workspace, "+14155550100")
    make_phone_number(workspace, "+14155550101", synced=False)
    other = make_workspace()
    make_phone_number(other, "+14155550102")

    assert client.post(BULK, {"matching": {"state": "pending"}, "mode": "observing"}, format="json").status_code == 200
    assert modes(workspace) == ["enforcing", "observing"]
    assert client.post(BULK, {"matching": {}, "mode": "observing"}, format="json").json()["changed"] == 1
    assert (modes(workspace), modes(other)) == (["observing"] * 2, ["enforcing"])


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"mode": "observing"}, ["phone_numbers"]),
        ({"phone_numbers": [], "mode": "observing"}, ["phone_numbers"]),
        ({"phone_numbers": ["+14155550100"], "matching": {}, "mode": "observing"}, ["phone_numbers"]),
        ({"phone_numbers": ["+14155550100", "+14155550199", "x"], "mode": "observing"}, ["phone_numbers"] * 2),
        ({"matching": {"policy": 999_999}, "mode": "observing"}, ["matching.policy"]),
        ({"matching": {"color": "red"}, "mode": "observing"}, ["matching.color"]),
        ({"matching": {}, "allowed_inbound_country_list": None}, ["allowed_inbound_country_list"]),
        ({"matching": {}, "allowed_inbound_country_list": []}, ["allowed_inbound_country_list"]),
        ({"matching": {}, "remove_outbound_countries": ["CA", "US"]}, ["+14155550100"]),
        ({"matching": {}, "add_outbound_countries": ["SY"]}, ["add_outbound_countries"]),
        ({"matching": {}, "add_outbound_countries": {"US": 1}}, ["add_outbound_countries"]),
        ({"matching": {}}, [""]),
    ],
)
def test_refuses_by_name_and_changes_nothing(workspace, client, body, fields):
    make_phone_number(workspace, "+14155550100")

    assert_problem(client.post(BULK, body, format="json"), 422, *fields)
    assert modes(workspace) == ["enforcing"]


def test_needs_the_right_to_change_numbers(workspace):
    make_phone_number(workspace, "+14155550100")

    answer = client_of(workspace, "phone-numbers:read").post(BULK, {"matching": {}, "mode": "observing"}, format="json")

    assert answer.status_code == 403
