from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEntry
from accounts.scoping import scoped
from policies import holds
from policies.models import CountryPolicy, PolicyRevision, SyncTarget
from tests.factories import make_phone_number, make_policy, make_workspace, moment
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

POLICIES = "/api/v1/country-policies/"
AT_HOME = {"countries": ["us", "CA", "US"]}
BODY = {"name": "North America", "inbound": AT_HOME, "outbound": AT_HOME | {"class_rules": {"satellite": "block"}}}


@pytest.fixture
def client(workspace):
    return client_of(workspace)


@pytest.fixture
def policy(workspace):
    return make_policy(workspace, name="Shared")


@pytest.fixture
def address(policy):
    return f"{POLICIES}{policy.pk}/"


def test_makes_a_policy(client):
    response = client.post(POLICIES, BODY)

    assert response.status_code == 201
    shown = dict(response.json())
    assert shown.pop("id")
    assert shown.pop("created_at")
    rules = {"mode": "list", "countries": ["CA", "US"], "class_rules": {}, "prefix_rules": []}
    assert shown == {
        "name": "North America",
        "inbound": rules,
        "outbound": rules | {"class_rules": {"satellite": "block"}},
        "revision": 1,
        "phone_numbers": [],
        "sync": {"total": 0, "applied": 0, "waiting": 0, "failed": 0, "drift": 0},
        "is_default": False,
    }
    again = client.get(response["Location"])
    assert (again.json(), again["ETag"]) == (response.json(), response["ETag"])


def test_shows_who_follows_a_policy(workspace, client, policy, address):
    make_phone_number(workspace, "+14155550101", policy=policy)
    make_phone_number(workspace, "+14155550100", policy=policy)

    assert client.get(address).json()["phone_numbers"] == ["+14155550100", "+14155550101"]
    assert client.get(POLICIES).json()["results"] == [client.get(address).json()]


def test_changes_a_part_of_one_direction_for_all_numbers(workspace, client, policy, address):
    make_phone_number(workspace, "+14155550100", policy=policy)
    make_phone_number(workspace, "+14155550101", policy=policy)

    shown = client.patch(address, {"outbound": {"prefix_rules": [{"prefix": "+4470", "action": "block"}]}}).json()

    assert shown["revision"] == 2
    assert shown["outbound"]["countries"] == ["CA", "US"]
    assert shown["outbound"]["prefix_rules"] == [{"prefix": "+4470", "action": "block"}]
    with scoped(workspace.pk):
        assert set(SyncTarget.objects.values_list("state", "desired_generation")) == {("pending", 2)}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"name": ""}, "name", id="no name"),
        pytest.param({"name": 5}, "name", id="a number for a name"),
        pytest.param({"name": "x" * 81}, "name", id="long name"),
        pytest.param({"name": "Taken"}, "name", id="name of another"),
        pytest.param({"name": "a\0"}, "name", id="NUL"),
        pytest.param({"inbound": []}, "inbound", id="a list for rules"),
        pytest.param({"inbound": None}, "inbound", id="null for rules"),
        pytest.param({"inbound": "US"}, "inbound", id="text for rules"),
        pytest.param({"inbound": {"countries": []}}, "inbound.countries", id="empty list"),
        pytest.param({"inbound": {"countries": ["USA"]}}, "inbound.countries", id="three letters"),
        pytest.param({"inbound": {"countries": ["KP"]}}, "inbound.countries", id="sanctioned"),
        pytest.param({"inbound": {"countries": {"US": 1}}}, "inbound.countries", id="object for a list"),
        pytest.param({"inbound": {"mode": "all"}}, "inbound", id="unknown mode"),
        pytest.param({"inbound": {"mode": []}}, "inbound", id="list for a mode"),
        pytest.param({"inbound": {"mode": "unrestricted"}}, "inbound", id="unconfirmed"),
        pytest.param({"outbound": {"colour": "red"}}, "outbound.colour", id="unknown part"),
        pytest.param({"outbound": {"class_rules": {"banana": "block"}}}, "outbound", id="unknown class"),
        pytest.param({"outbound": {"class_rules": {"mobile": {}}}}, "outbound", id="object for an action"),
        pytest.param({"outbound": {"class_rules": 1}}, "outbound.class_rules", id="number for class rules"),
        pytest.param({"outbound": {"class_rules": []}}, "outbound.class_rules", id="empty list for class rules"),
        pytest.param({"inbound": {"prefix_rules": {}}}, "inbound.prefix_rules", id="empty object for prefix rules"),
        pytest.param({"outbound": {"prefix_rules": [{"prefix": "44"}]}}, "outbound", id="prefix without plus"),
        pytest.param({"outbound": {"prefix_rules": [1]}}, "outbound", id="number for a prefix rule"),
        pytest.param({"revision": 9}, "revision", id="revision"),
        pytest.param({"phone_numbers": []}, "phone_numbers", id="phone numbers"),
        pytest.param({"colour": "red"}, "colour", id="unknown field"),
        pytest.param({"is_default": "yes"}, "is_default", id="text for true"),
        pytest.param({"is_default": False}, "is_default", id="no default any more"),
        pytest.param({"reason": []}, "reason", id="list for a reason"),
    ],
)
def test_refuses_bad_input_and_changes_nothing(workspace, client, policy, address, body, field):
    make_policy(workspace, name="Taken")
    before = client.get(address)

    assert_problem(client.patch(address, {"inbound": {"countries": ["GB"]}, **body}), 422, field)

    after = client.get(address)
    assert (after.json(), after["ETag"]) == (before.json(), before["ETag"])


@pytest.mark.parametrize("missing", ["name", "inbound", "outbound"])
def test_does_not_make_a_policy_without(workspace, client, missing):
    body = {name: value for name, value in BODY.items() if name != missing}

    problem = assert_problem(client.post(POLICIES, body), 422, missing)

    assert problem["errors"][0]["code"] == "required"
    with scoped(workspace.pk):
        assert not CountryPolicy.objects.exists()


def test_lifts_a_restriction_when_that_is_confirmed_with_a_reason(client, address):
    body = {"inbound": {"mode": "unrestricted"}, "confirm_unrestricted": True, "reason": "A help line."}

    assert client.patch(address, body).json()["inbound"]["mode"] == "unrestricted"


def test_refuses_to_edit_a_revision_that_is_gone(client, policy, address):
    stale = client.get(address)["ETag"]
    client.patch(address, {"name": "Renamed"}, headers={"If-Match": stale})
    renamed = client.get(address)["ETag"]
    client.patch(address, {"inbound": {"countries": ["GB"]}}, headers={"If-Match": f"W/{renamed}"})

    for tag in (stale, renamed):
        assert_problem(client.patch(address, {"name": "Mine"}, headers={"If-Match": tag}), 412)
        assert_problem(client.post(f"{address}revert/", {"revision": 1}, headers={"If-Match": tag}), 412)

    shown = client.get(address).json()
    assert (shown["name"], shown["revision"], shown["inbound"]["countries"]) == ("Renamed", 2, ["GB"])
    assert client.patch(address, {"name": "Any"}, headers={"If-Match": "*"}).status_code == 200


def test_makes_another_policy_the_default(workspace, client, policy, address):
    first = client.post(POLICIES, BODY | {"is_default": True}).json()

    assert client.patch(address, {"is_default": True}).json()["is_default"] is True
    assert client.get(f"{POLICIES}{first['id']}/").json()["is_default"] is False


def test_keeps_every_revision_and_goes_back_to_one(workspace, client, policy, address):
    client.patch(address, {"inbound": {"countries": ["GB"]}, "reason": "Moved."})

    shown = client.post(f"{address}revert/", {"revision": 1}).json()

    assert (shown["revision"], shown["inbound"]["countries"]) == (3, ["CA", "US"])
    page = client.get(f"{address}revisions/?page_size=2").json()
    revisions = page["results"] + client.get(page["next"]).json()["results"]
    assert [row["revision"] for row in revisions] == [3, 2, 1]
    assert [row["reason"] for row in revisions] == ["Back to revision 1.", "Moved.", "made for a test"]
    with scoped(workspace.pk):
        assert PolicyRevision.objects.count() == 3
        assert AuditEntry.objects.filter(action="country_policy.edit").count() == 2


@pytest.mark.parametrize("revision", [7, 0, -1, "1", None, 1.0, True, 2**31, [], {}])
def test_does_not_go_back_to_what_never_was(client, address, revision):
    assert_problem(client.post(f"{address}revert/", {"revision": revision}), 422, "revision")
    assert_problem(client.post(f"{address}revert/", {}), 422, "revision")


@pytest.mark.parametrize("way", ["", "revert/", "revisions/"])
def test_treats_another_workspace_s_policy_as_absent(client, way):
    foreign = make_policy(make_workspace(), name="Foreign")
    method = {"": client.patch, "revert/": client.post, "revisions/": client.get}[way]

    response = method(f"{POLICIES}{foreign.pk}/{way}", {"revision": 1} if way else {"name": "Mine"})

    assert_problem(response, 404)
    assert response.content == method(f"{POLICIES}987654/{way}").content
    assert client.get(POLICIES).json()["results"] == []


OUTBOUND_PARTS = {
    "observing": True,
    "observed_classes": ["premium_rate"],
    "captcha": True,
    "kyc_rules": {"channels": {"sms": 1}, "exposure_tiers": {"T2": 2}},
    "limits": {"call_seconds": {"limit": 60}, "ip": None},
    "prefix_rules": [{"prefix": "+4470", "action": "guard", "observing": True}],
}


def test_keeps_every_part_of_the_rules_and_goes_back(client, address):
    changed = client.patch(address, {"outbound": OUTBOUND_PARTS, "inbound": {"withheld": "guard"}}).json()
    again = client.patch(address, {"outbound": {"countries": ["US"]}}).json()
    cleared = {"observing": False, "observed_classes": [], "captcha": False, "kyc_rules": None, "limits": {}}
    back = client.patch(address, {"outbound": {**cleared, "prefix_rules": []}, "inbound": {"withheld": None}}).json()
    reverted = client.post(f"{address}revert/", {"revision": 2}).json()

    assert {name: changed["outbound"][name] for name in OUTBOUND_PARTS} == OUTBOUND_PARTS
    assert changed["inbound"]["withheld"] == "guard"
    assert again["outbound"] == changed["outbound"] | {"countries": ["US"]}
    assert back["outbound"].keys() == back["inbound"].keys() == {"mode", "countries", "class_rules", "prefix_rules"}
    assert (reverted["outbound"], reverted["inbound"]) == (changed["outbound"], changed["inbound"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"inbound": {"captcha": True}}, "inbound.captcha"),
        ({"inbound": {"kyc_rules": {"channels": {"sms": 1}}}}, "inbound.kyc_rules"),
        ({"outbound": {"withheld": "block"}}, "outbound.withheld"),
        ({"inbound": {"withheld": "later"}}, "inbound.withheld"),
        ({"inbound": {"observing": "yes"}}, "inbound.observing"),
        ({"inbound": {"observed_classes": ["fax"]}}, "inbound.observed_classes"),
        ({"inbound": {"observed_classes": 5}}, "inbound.observed_classes"),
        ({"outbound": {"captcha": 1}}, "outbound.captcha"),
        ({"outbound": {"kyc_rules": {"channels": {"sms": 4}}}}, "outbound.kyc_rules"),
        ({"outbound": {"kyc_rules": []}}, "outbound.kyc_rules"),
        ({"outbound": {"limits": {"caller": None}}}, "outbound.limits.caller"),
        ({"inbound": {"limits": {"ip": None}}}, "inbound.limits.ip"),
        ({"inbound": {"limits": {"caller": {"limit": 5}}}}, "inbound.limits.caller"),
        ({"outbound": {"limits": {"destination": {"limit": 5, "window": 7200}}}}, "outbound.limits.destination"),
        ({"outbound": {"limits": {"nothing": None}}}, "outbound.limits"),
        ({"outbound": {"limits": 5}}, "outbound.limits"),
        ({"outbound": {"prefix_rules": [{"prefix": "+44", "action": "block", "observing": 1}]}}, "outbound"),
    ],
)
def test_refuses_a_part_that_cannot_be_naming_it(client, address, body, field):
    before = client.get(address).json()

    assert_problem(client.patch(address, body), 422, field)

    assert client.get(address).json() == before


def test_a_plan_groups_equal_changes_and_changes_nothing(workspace, django_assert_num_queries):
    policy = make_policy(workspace, name="Desk", inbound=["CA", "US"], outbound=["US"])
    for n in range(3):
        make_phone_number(workspace, f"+1415555010{n}", policy=policy)
    held = {"reason": "test", "expires_at": moment() + timedelta(hours=1), "acting_user": None, "now": moment()}
    holds.impose(workspace_id=workspace.pk, scope="phone_number", value="+14155550102", **held)
    client, address = client_of(workspace), f"/api/v1/country-policies/{policy.pk}/plan/"
    edit = {"inbound": {"countries": ["US", "JM"]}}
    client.get(POLICIES)  # the token's first use is noted

    with CaptureQueriesContext(connection) as queries:
        plan = client.post(address, edit, format="json").json()
    asked = len(queries)

    assert (plan["changed"], plan["unchanged"], plan["widens"]) == (2, 1, True)
    [group] = plan["groups"]
    assert group["examples"] == ["+14155550100", "+14155550101"]
    assert (group["inbound"]["added"], group["inbound"]["removed"]) == (["JM"], ["CA"])
    assert group["outbound"]["before"] == group["outbound"]["after"] == ["US"]
    assert client.get(f"/api/v1/country-policies/{policy.pk}/").json()["revision"] == 1
    for n in range(3, 9):
        make_phone_number(workspace, f"+1415555010{n}", policy=policy)
    with django_assert_num_queries(asked):
        assert client.post(address, edit, format="json").json()["changed"] == 8


def test_a_plan_refuses_what_the_edit_would_refuse(workspace):
    policy = make_policy(workspace)
    address = f"/api/v1/country-policies/{policy.pk}/plan/"

    answer = client_of(workspace).post(address, {"outbound": {"countries": []}}, format="json")
    assert_problem(answer, 422, "outbound.countries")
    answer = client_of(workspace).post(address, {"outbound": {"mode": "unrestricted", "countries": []}}, format="json")
    assert_problem(answer, 422, "outbound")


def test_a_policy_tells_how_many_of_its_numbers_have_it(workspace):
    policy = make_policy(workspace)
    make_phone_number(workspace, "+14155550100", policy=policy)
    make_phone_number(workspace, "+14155550101", policy=policy, synced=False)
    make_phone_number(workspace, "+14155550102")
    client = client_of(workspace)

    told = {"total": 2, "applied": 1, "waiting": 1, "failed": 0, "drift": 0}
    assert client.get(f"/api/v1/country-policies/{policy.pk}/").json()["sync"] == told
    listed = client.get("/api/v1/country-policies/").json()["results"]
    assert [row["sync"] for row in listed if row["id"] == policy.pk] == [told]


def test_a_clone_is_a_policy_of_its_own(workspace):
    policy = make_policy(workspace, name="Desk", inbound=None)
    client = client_of(workspace)

    made = client.post(f"/api/v1/country-policies/{policy.pk}/clone/", {"name": "Copy"}, format="json")

    assert (made.status_code, made.json()["name"], made.json()["revision"]) == (201, "Copy", 1)
    assert made.json()["inbound"]["mode"] == "unrestricted"
    again = client.post(f"/api/v1/country-policies/{policy.pk}/clone/", {"name": "Copy"}, format="json")
    assert_problem(again, 422, "name")
