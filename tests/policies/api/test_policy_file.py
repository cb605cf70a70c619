"""Policy as code over REST: the same plans and refusals, as problem details."""

import json

import pytest
import yaml

from accounts import workspaces
from accounts.scoping import scoped
from policies.models import CountryPolicy
from tests.factories import make_phone_number, make_policy, make_workspace, moment
from tests.policies.policy_file.files import NUMBER, everything, file_of
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

PLAN, APPLY, EXPORT = "/api/v1/plan/", "/api/v1/apply/", "/api/v1/policy-file/"
NARROWER = "policies: {home: {inbound: {countries: [US]}}}"
ALL_PARTS = (
    f"{NARROWER}\nphone_numbers: {{{NUMBER}: home}}\npublic_keys: {{web: {{domains: [a.example], channels: [chat]}}}}"
)


@pytest.fixture
def client(workspace):
    make_phone_number(workspace, NUMBER, policy=make_policy(workspace, name="home"))
    return client_of(workspace)


def _yaml(client, address, text, content_type="application/yaml"):
    return client.post(address, text, content_type=content_type)


@pytest.mark.parametrize(
    "content_type", ["application/yaml; charset=utf-8", "application/x-yaml", "text/yaml", "text/plain"]
)
def test_plans_and_applies_yaml(workspace, client, content_type):
    text = file_of(workspace, ALL_PARTS)

    plan = _yaml(client, PLAN, text, content_type).json()
    assert (plan["state"], plan["widens"]) == ("changes", True)
    assert plan["policies"][0]["inbound"]["closes"] == [{"country": "CA", "name": "Canada", "exposure_tier": "T3"}]
    assert plan["policies"][0]["phone_numbers"] == [NUMBER]

    applied = _yaml(client, f"{APPLY}?plan={plan['fingerprint']}", text, content_type)
    assert (applied.status_code, applied.json()["state"]) == (200, "applied")
    assert client.get(f"/api/v1/phone-numbers/{NUMBER}/").json()["allowed_inbound_country_list"] == ["US"]
    assert _yaml(client, APPLY, text, content_type).json()["state"] == "nothing_to_do"
    assert _yaml(client, PLAN, text, content_type).json()["state"] == "nothing_to_do"


def test_takes_the_file_in_json_in_three_ways(workspace, client):
    text = file_of(workspace, NARROWER)
    value = yaml.safe_load(text)
    plans = [client.post(PLAN, body).json() for body in ({"file": text}, {"file": value}, value)]

    assert plans[0] == plans[1] == plans[2]
    assert client.post(APPLY, {"file": value, "plan": plans[0]}).json()["state"] == "applied"
    assert client.post(APPLY, {**value, "plan": plans[0]["fingerprint"]}).json()["state"] == "nothing_to_do"


def test_exports_what_it_then_finds_nothing_to_do_about(workspace, client):
    exported = client.get(EXPORT)

    assert (exported.status_code, exported["Content-Type"]) == (200, "application/yaml; charset=utf-8")
    assert yaml.safe_load(exported.content)["phone_numbers"] == {NUMBER: "home"}
    assert _yaml(client, PLAN, exported.content).json()["state"] == "nothing_to_do"


@pytest.mark.parametrize("address", [PLAN, APPLY])
@pytest.mark.parametrize(
    ("rest", "field", "words"),
    [
        (
            "policies: {home: {inbound: {countries: []}}}",
            "policies.home.inbound.countries",
            "Line 3: The list is empty",
        ),
        ("policies: {home: {inbound: {countries: [KP]}}}", "policies.home.inbound.countries.0", "no setting can open"),
        ("a: &x [*x]", "a", "Anchors and aliases"),
        ("a: \t- b", "", "This is not YAML"),
    ],
)
def test_refuses_naming_field_and_line(workspace, client, address, rest, field, words):
    with scoped(workspace.pk):
        before = everything(workspace)

    problem = assert_problem(_yaml(client, address, file_of(workspace, rest)), 422, field)

    assert words in problem["errors"][0]["detail"]
    with scoped(workspace.pk):
        assert everything(workspace) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"file": "x", "colour": 1}, "colour"),
        ({"file": 5}, ""),
        ({"file": None}, ""),
        ([], ""),
        ("version: 1", "workspace"),
        ({"file": {"version": 1, "workspace": "another"}}, "workspace"),
        ({"file": "version: 1\nworkspace: another"}, "workspace"),
    ],
)
def test_refuses_a_body_that_is_no_file_of_this_workspace(workspace, client, body, field):
    make_workspace(slug="another")

    assert_problem(client.post(APPLY, body), 422, field)


def test_refuses_a_plan_that_is_overtaken_or_none(workspace, client):
    value = yaml.safe_load(file_of(workspace, NARROWER))
    plan = client.post(PLAN, value).json()
    client.post(APPLY, yaml.safe_load(file_of(workspace, "policies: {home: {inbound: {countries: [GB]}}}")))

    problem = assert_problem(client.post(APPLY, {"file": value, "plan": plan}), 412, "plan.policies")
    assert "home (revision 1 → 2)" in problem["errors"][0]["detail"]
    assert_problem(client.post(APPLY, {"file": value, "plan": plan["fingerprint"]}), 412, "plan")
    assert_problem(client.post(APPLY, {"file": value, "plan": "yes"}), 422, "plan")
    with scoped(workspace.pk):
        assert CountryPolicy.objects.select_related("current_revision").get().current_revision.number == 2


def test_answers_202_for_what_waits_for_a_second_person(workspace, client):
    workspaces.change_settings(workspace=workspace, approval_tier="T3", acting_user=None, now=moment())
    text = file_of(workspace, "policies: {home: {inbound: {countries: [US, CA, GB]}}}")

    waiting = _yaml(client, APPLY, text)
    assert (waiting.status_code, waiting.json()["state"]) == (202, "awaiting_approval")

    approval = f"/api/v1/approvals/{waiting.json()['approval']}/approve/"
    assert client_of(workspace).post(approval, {}).json()["state"] == "approved"
    assert _yaml(client, APPLY, text).json()["state"] == "nothing_to_do"


@pytest.mark.parametrize("body", [b"- x\n" * 300_000, b"[" * 1_200_000])
def test_refuses_a_large_file_unread(client, body):
    assert_problem(_yaml(client, PLAN, body), 413)
    assert_problem(client.post(PLAN, json.dumps({"file": body.decode()}), content_type="application/json"), 413)


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"\0", b"%", b"*a", b"- " * 5000, "é: \ud83d".encode("utf-8", "surrogatepass")]
)
def test_answers_hostile_bytes_with_a_problem(client, body):
    assert _yaml(client, PLAN, body).status_code == 422


@pytest.mark.parametrize("missing", ["country-policies", "phone-numbers", "public-keys"])
def test_needs_the_scope_of_everything_that_the_file_names(workspace, client, missing):
    others = {"country-policies", "phone-numbers", "public-keys"} - {missing}
    poor = client_of(workspace, *(f"{resource}:write" for resource in others), f"{missing}:read")
    poorer = client_of(workspace, *(f"{resource}:write" for resource in others))
    text = file_of(workspace, ALL_PARTS)

    assert missing in assert_problem(_yaml(poor, APPLY, text), 403)["detail"]
    assert _yaml(poor, PLAN, text).status_code == 200
    assert poor.get(EXPORT).status_code == 200
    assert_problem(_yaml(poorer, PLAN, text), 403)
    assert_problem(poorer.get(EXPORT), 403)
