"""REST: a change that needs a second person answers 202 wherever it is asked for, and another token carries it out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.models import Workspace
from accounts.scoping import scoped
from policies import exposure
from policies.models import CountryPolicy, Open, PhoneNumber, ProposedChange
from tests.factories import make_phone_number, make_policy
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db
NUMBER = "+14155550100"
AT_HOME = {"countries": ["US"]}


@pytest.fixture
def careful(workspace):
    number = make_phone_number(workspace, NUMBER)
    make_policy(workspace, name="Wide", outbound=["NG"])
    Workspace.objects.filter(pk=workspace.pk).update(approval_tier="T2")
    yield number
    exposure.forget()


def awaiting(response):
    body = response.json()
    assert response.status_code == 202, body
    assert body["state"] == "awaiting_approval"
    assert response["Location"].endswith(f"/api/v1/approvals/{body['approval']}/")
    return body["approval"]


def outbound(client):
    return client.get(f"/api/v1/phone-numbers/{NUMBER}/").json()["allowed_outbound_country_list"]


def test_a_number_is_widened_by_two(workspace, careful):
    mine, other = client_of(workspace), client_of(workspace)
    path = f"/api/v1/phone-numbers/{NUMBER}/"

    wide = ["US", "NG", "CA"]

    pk = awaiting(mine.patch(path, {"allowed_outbound_country_list": wide, "reason": "Lagos"}, format="json"))

    assert outbound(mine) == ["CA", "US"]
    shown = mine.get(f"/api/v1/approvals/{pk}/").json()
    assert shown["difference"]["parts"][0]["countries"] == [{"code": "NG", "tier": "T2"}]
    assert shown["exposure"].keys() >= {"tiers", "before_usd_per_hour", "after_usd_per_hour"}
    assert (shown["reason"], shown["decided_by"]) == ("Lagos", None)
    own = mine.post(f"/api/v1/approvals/{pk}/approve/", {}, format="json")
    assert_problem_without_fields(own, 403)
    assert own.json()["type"].endswith("#four-eyes")
    assert outbound(mine) == ["CA", "US"]

    for verb in ("approve", "reject"):
        response = other.post(f"/api/v1/approvals/{pk}/{verb}/", {}, format="json", headers={"If-Match": '"other"'})
        assert_problem(response, 412)
    answer = other.post(f"/api/v1/approvals/{pk}/approve/", {"answer": "Fine"}, format="json")

    assert (answer.status_code, answer.json()["state"], answer.json()["answer"]) == (200, "approved", "Fine")
    assert outbound(mine) == ["CA", "NG", "US"]
    assert_problem_without_fields(other.post(f"/api/v1/approvals/{pk}/reject/", {}, format="json"), 409)


@pytest.mark.parametrize(
    ("change", "done", "waits"),
    [
        (
            {"allowed_inbound_country_list": ["US"], "allowed_outbound_country_list": ["US", "CA", "NG"]},
            {"allowed_inbound_country_list": ["US"]},
            ["edit_phone_number"],
        ),
        (
            {"allowed_outbound_country_list": ["us", "NG"], "nickname": "Front desk"},
            {"allowed_outbound_country_list": ["US"], "nickname": "Front desk"},
            ["edit_phone_number"],
        ),
        (
            {
                "allowed_outbound_country_list": ["US"],
                "mode": "observing",
                "guarded_agent": "agent_g",
                "inbound_when_console_down": "dropped",
            },
            {
                "allowed_outbound_country_list": ["US"],
                "guarded_agent": "agent_g",
                "inbound_when_console_down": "dropped",
            },
            ["observe_phone_number"],
        ),
        (
            {"allowed_outbound_country_list": ["NG"], "mode": "observing"},
            {},
            ["edit_phone_number", "observe_phone_number"],
        ),
    ],
)
def test_what_only_closes_is_done_at_once_beside_what_waits(workspace, careful, change, done, waits):
    client = client_of(workspace)

    answer = client.patch(f"/api/v1/phone-numbers/{NUMBER}/", change, format="json")

    awaiting(answer)
    body = answer.json()
    assert body["done"] == done
    assert ("Done at once" in body["detail"], "Nothing of this" in body["detail"]) == (bool(done), not done)
    with scoped(workspace.pk):
        rows = ProposedChange.objects.in_bulk(body["approvals"])
        assert [rows[pk].verb for pk in body["approvals"]] == waits
        number = PhoneNumber.objects.select_related("policy__current_revision").get(pk=careful.pk)
        revision = number.policy.current_revision
        has = {
            "allowed_inbound_country_list": revision.inbound["countries"],
            "allowed_outbound_country_list": revision.outbound["countries"],
            "inbound_when_console_down": "dropped" if number.closed_when_down else "answered",
            **{name: getattr(number, name) for name in ("nickname", "guarded_agent", "mode")},
        }
    assert {name: has[name] for name in done} == done
    assert has["mode"] == "enforcing"
    assert "NG" not in has["allowed_outbound_country_list"]


def test_nothing_is_done_in_parts_over_a_colleague_s_edit(workspace, careful):
    client, path = client_of(workspace), f"/api/v1/phone-numbers/{NUMBER}/"
    etag = client.get(path)["ETag"]
    client.patch(path, {"nickname": "Front desk"}, format="json")
    change = {"allowed_outbound_country_list": ["US", "NG"]}

    assert client.patch(path, change, format="json", headers={"If-Match": etag}).status_code == 412
    assert outbound(client) == ["CA", "US"]
    with scoped(workspace.pk):
        assert not ProposedChange.objects.exists()


def assert_problem_without_fields(response, status):
    body = response.json()
    assert (response.status_code, body["errors"]) == (status, [])
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("patch", f"phone-numbers/{NUMBER}/", {"policy": "Wide"}),
        ("patch", f"phone-numbers/{NUMBER}/", {"mode": "observing"}),
        (
            "post",
            "country-policies/",
            {"name": "N", "inbound": {"countries": ["US"]}, "outbound": {"countries": ["NG"]}},
        ),
        ("patch", "country-policies/{wide}/", {"is_default": True}),
        ("patch", "country-policies/{wide}/", {"outbound": {"countries": ["NG", "SO"]}}),
        (
            "post",
            "opens/",
            {"scope": "prefix", "value": "+234", "reason": "r", "expires_at": "{later}"},
        ),
    ],
)
def test_every_address_waits_alike(workspace, careful, now, method, path, body):
    with scoped(workspace.pk):
        wide = CountryPolicy.objects.get(name="Wide").pk
    later = (now + timedelta(hours=1)).isoformat()
    body = {
        key: {"Wide": wide, "{later}": later}.get(value, value) if isinstance(value, str) else value
        for key, value in body.items()
    }

    pk = awaiting(getattr(client_of(workspace), method)(f"/api/v1/{path.format(wide=wide)}", body, format="json"))

    with scoped(workspace.pk):
        assert ProposedChange.objects.get(pk=pk).state == "awaiting_approval"
        assert not Open.objects.exists()
        assert not CountryPolicy.objects.filter(name="N").exists()
        assert not CountryPolicy.objects.filter(is_default=True).exists()


def test_lists_what_waits_and_asks_for_its_scope(workspace, careful):
    client = client_of(workspace)
    pk = awaiting(
        client.patch(f"/api/v1/phone-numbers/{NUMBER}/", {"allowed_outbound_country_list": ["NG"]}, format="json")
    )

    found = client.get("/api/v1/approvals/?state=awaiting_approval").json()["results"]
    assert [row["id"] for row in found] == [pk]
    assert client.get("/api/v1/approvals/?state=approved").json()["results"] == []
    assert client_of(workspace, "approvals:read").post(f"/api/v1/approvals/{pk}/approve/").status_code == 403
    assert client.post(f"/api/v1/approvals/{pk}/withdraw/").json()["state"] == "withdrawn"
    assert_problem(client.post(f"/api/v1/approvals/{pk}/approve/", {"answer": 5}, format="json"), 422, "answer")


def test_says_what_could_be_burnt(workspace, careful):
    body = client_of(workspace).get("/api/v1/exposure/").json()

    # The client's own token opens the gate: chats at 0.10, 21,000 an hour, and 20 calls at home of 0.115 a minute.
    assert body["usd_per_hour"] == body["tokens"]["usd_per_hour"] > 0
    assert body["without_gate"]["usd_per_hour"] == round(20 * 60 * (0.10 + 0.03), 2)
    assert [line["name"] for line in body["numbers"]] == [NUMBER]
    assert body["assumptions"]
