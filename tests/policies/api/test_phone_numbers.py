import threading
from datetime import timedelta

import pytest
from django.db import connection, connections

from accounts.models import AuditEntry
from accounts.scoping import scoped, unscoped
from policies.models import PhoneNumber, PolicyRevision, SyncTarget
from tests.factories import make_phone_number, make_policy, make_workspace, moment
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

LIST = "/api/v1/phone-numbers/"
NUMBER = f"{LIST}+14155550100/"


@pytest.fixture
def client(workspace):
    return client_of(workspace)


@pytest.fixture
def number(workspace):
    return make_phone_number(workspace)


def test_shows_exactly_the_agreed_fields(client, number):
    shown = client.get(NUMBER).json()

    policy = shown.pop("policy")
    assert policy == {"id": number.policy_id, "name": number.policy.name, "revision": 1}
    sync = shown.pop("sync")
    assert sync.pop("desired_at").endswith("Z")
    assert sync == {
        "state": "synced",
        "applied_at": None,
        "verified_at": None,
        "attempts": 0,
        "next_attempt_at": None,
        "error": None,
    }
    assert shown == {
        "phone_number": "+14155550100",
        "nickname": "",
        "allowed_inbound_country_list": ["CA", "US"],
        "allowed_outbound_country_list": ["CA", "US"],
        "inbound_when_console_down": "dropped",
        "mode": "enforcing",
        "guarded_agent": "",
        "chained_webhook_url": "",
        "chained_sms_webhook_url": "",
        "asks_console": False,
        "flagged_since": None,
    }


def test_shows_no_restriction_as_null_and_a_bound_agent_as_answered(workspace, client):
    make_phone_number(workspace, inbound=None, inbound_agents=["agent_1"])

    shown = client.get(NUMBER).json()

    assert shown["allowed_inbound_country_list"] is None
    assert shown["inbound_when_console_down"] == "answered"


def test_shows_the_trouble_of_the_sync(workspace, client, number):
    due = moment() + timedelta(minutes=1)
    with scoped(workspace.pk):
        SyncTarget.objects.update(state="pending", attempts=3, error="UponAI answered 500.", due_at=due)

    sync = client.get(NUMBER).json()["sync"]

    assert (sync["state"], sync["attempts"], sync["error"]) == ("pending", 3, "UponAI answered 500.")
    assert sync["next_attempt_at"] == due.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("written", ["+14155550100", "%2B14155550100", "%2b14155550100"])
def test_takes_the_plus_written_or_escaped(client, number, written):
    assert client.get(f"{LIST}{written}/").json()["phone_number"] == "+14155550100"


@pytest.mark.parametrize(
    "written",
    ["14155550100", "+1 415 555 0100", "+1-415-555-0100", "0014155550100", "%2B%2B14155550100", "＋14155550100"],
)
def test_takes_no_other_spelling(client, number, written):
    assert_problem(client.get(f"{LIST}{written}/"), 404)


def test_lists_the_workspace_s_own_numbers_only(client, number):
    make_phone_number(make_workspace(), "+14155550101")

    assert [row["phone_number"] for row in client.get(LIST).json()["results"]] == ["+14155550100"]


def test_filters_by_state(workspace, client, number):
    make_phone_number(workspace, "+14155550101", synced=False)

    assert [row["phone_number"] for row in client.get(f"{LIST}?state=pending").json()["results"]] == ["+14155550101"]
    assert_problem(client.get(f"{LIST}?state=lost"), 422, "state")


@pytest.mark.parametrize("method", ["get", "patch"])
def test_treats_another_workspace_s_number_as_absent(client, method):
    make_phone_number(make_workspace(), "+14155550101")

    foreign = getattr(client, method)(f"{LIST}+14155550101/", {})
    absent = getattr(client, method)(f"{LIST}+14155550102/", {})

    assert_problem(foreign, 404)
    assert foreign.content == absent.content
    with unscoped(reason="that nothing was written"):
        assert PolicyRevision.objects.count() == 1


def test_changes_a_list_and_puts_it_right(workspace, client, number):
    response = client.patch(NUMBER, {"allowed_inbound_country_list": ["us", "GB", "US", " ca "]})

    assert response.status_code == 200
    shown = response.json()
    assert shown["allowed_inbound_country_list"] == ["CA", "GB", "US"]
    assert shown["allowed_outbound_country_list"] == ["CA", "US"]
    assert shown["sync"]["state"] == "pending"
    assert shown["policy"]["revision"] == 2
    assert "notice" not in shown
    with scoped(workspace.pk):
        assert SyncTarget.objects.get().desired_generation == 2
        assert AuditEntry.objects.order_by("-sequence").first().action == "country_policy.edit"


def test_says_when_the_number_got_a_policy_of_its_own(workspace, client):
    shared = make_policy(workspace, name="Shared")
    make_phone_number(workspace, policy=shared)
    make_phone_number(workspace, "+14155550101", policy=shared)

    shown = client.patch(NUMBER, {"allowed_outbound_country_list": ["GB"]}).json()

    assert "Shared" in shown["notice"]
    assert shown["policy"]["id"] != shared.pk
    assert client.get(f"{LIST}+14155550101/").json()["allowed_outbound_country_list"] == ["CA", "US"]


def test_lifts_a_restriction_when_that_is_confirmed_with_a_reason(client, number):
    body = {"allowed_inbound_country_list": None, "confirm_unrestricted": True, "reason": "A help line for all."}

    assert client.patch(NUMBER, body).json()["allowed_inbound_country_list"] is None


INBOUND, OUTBOUND = "allowed_inbound_country_list", "allowed_outbound_country_list"


@pytest.mark.parametrize(
    ("body", "fields", "code"),
    [
        pytest.param({INBOUND: []}, [INBOUND], "empty", id="empty"),
        pytest.param({OUTBOUND: ["USA"]}, [OUTBOUND], "invalid_country", id="three letters"),
        pytest.param({INBOUND: ["ZZ"]}, [INBOUND], "unknown_country", id="unknown"),
        pytest.param({INBOUND: ["US", "ru"]}, [INBOUND], "sanctioned_country", id="sanctioned"),
        pytest.param({INBOUND: [1]}, [INBOUND], "invalid_country", id="number in the list"),
        pytest.param({INBOUND: [None, "US"]}, [INBOUND], "invalid_country", id="null in the list"),
        pytest.param({INBOUND: [["US"]]}, [INBOUND], "invalid_country", id="list in the list"),
        pytest.param({INBOUND: "US"}, [INBOUND], "invalid_country", id="text"),
        pytest.param({INBOUND: {"US": True}}, [INBOUND], "invalid_country", id="object"),
        pytest.param({INBOUND: 7}, [INBOUND], "invalid_country", id="number"),
        pytest.param({INBOUND: False}, [INBOUND], "invalid_country", id="false"),
        pytest.param({INBOUND: ["US"] * 1001}, [INBOUND], "too_long", id="too many"),
        pytest.param({INBOUND: ["\0\0"]}, [INBOUND], "invalid_country", id="NUL"),
        pytest.param({INBOUND: ["ＵＳ"]}, [INBOUND], "invalid_country", id="full width"),
        pytest.param({INBOUND: None}, [INBOUND], "unrestricted_unconfirmed", id="null, unconfirmed"),
        pytest.param(
            {OUTBOUND: None, "confirm_unrestricted": True}, [OUTBOUND], "unrestricted_unconfirmed", id="no reason"
        ),
        pytest.param(
            {OUTBOUND: None, "confirm_unrestricted": True, "reason": "  "},
            [OUTBOUND],
            "unrestricted_unconfirmed",
            id="blank reason",
        ),
        pytest.param(
            {OUTBOUND: None, "confirm_unrestricted": False, "reason": "x"},
            [OUTBOUND],
            "unrestricted_unconfirmed",
            id="not confirmed",
        ),
        pytest.param({"confirm_unrestricted": "true"}, ["confirm_unrestricted"], "invalid", id="text for true"),
        pytest.param({"confirm_unrestricted": 1}, ["confirm_unrestricted"], "invalid", id="1 for true"),
        pytest.param({"reason": 5}, ["reason"], "invalid", id="number for a reason"),
        pytest.param({"nickname": 5}, ["nickname"], "invalid", id="number for a nickname"),
        pytest.param({"nickname": None}, ["nickname"], "null", id="null nickname"),
        pytest.param({"nickname": "x" * 121}, ["nickname"], "max_length", id="long nickname"),
        pytest.param({"nickname": "a\0b"}, ["nickname"], "null_characters_not_allowed", id="NUL in the nickname"),
        pytest.param({"nickname": ["x"]}, ["nickname"], "invalid", id="list for a nickname"),
        pytest.param({"inbound_countries": ["US"]}, ["inbound_countries"], "unknown_field", id="unknown field"),
        pytest.param({"": 1}, [""], "unknown_field", id="field without a name"),
        pytest.param({"phone_number": "+14155550101"}, ["phone_number"], "read_only", id="another number"),
        pytest.param({"policy": "1"}, ["policy"], "invalid", id="text for a policy"),
        pytest.param({"policy": True}, ["policy"], "invalid", id="true for a policy"),
        pytest.param({"policy": 987654}, ["policy"], "not_found", id="no such policy"),
        pytest.param({"policy": 10**18}, ["policy"], "not_found", id="policy beyond all ids"),
        pytest.param({"policy": 1, INBOUND: ["US"]}, ["policy"], "conflict", id="policy and list"),
    ],
)
def test_refuses_bad_input_and_changes_nothing(workspace, client, number, body, fields, code):
    before = client.get(NUMBER)

    problem = assert_problem(client.patch(NUMBER, {"nickname": "Sneaked in", **body}), 422, *fields)

    assert problem["errors"][0]["code"] == code
    assert (code == "empty") == ("a hold on the number" in problem["errors"][0]["detail"])
    after = client.get(NUMBER)
    assert (after.json(), after["ETag"]) == (before.json(), before["ETag"])
    with scoped(workspace.pk):
        assert PolicyRevision.objects.count() == 1
        assert SyncTarget.objects.get().desired_generation == 1


def test_names_each_code_that_is_wrong(client, number):
    body = {INBOUND: ["US", "XXX", "IR"]}

    problem = assert_problem(client.patch(NUMBER, body), 422, INBOUND, INBOUND)

    assert [error["code"] for error in problem["errors"]] == ["invalid_country", "sanctioned_country"]
    assert "Iran" in problem["errors"][1]["detail"]


def test_does_not_repeat_endless_troubles(client, number):
    problem = client.patch(NUMBER, {INBOUND: ["XXX"] * 1000}).json()

    assert len(problem["errors"]) == 50


def test_follows_another_policy(workspace, client, number):
    other = make_policy(workspace, name="Other", inbound=["GB"])

    shown = client.patch(NUMBER, {"policy": other.pk, "nickname": "Desk"}).json()

    assert shown["policy"]["name"] == "Other"
    assert shown["allowed_inbound_country_list"] == ["GB"]
    assert shown["nickname"] == "Desk"
    assert shown["sync"]["state"] == "pending"


def test_does_not_follow_another_workspace_s_policy(client, number):
    foreign = make_policy(make_workspace())

    assert_problem(client.patch(NUMBER, {"policy": foreign.pk}), 422, "policy")


def test_leaves_all_as_it_is_for_an_empty_edit(workspace, client, number):
    before = client.get(NUMBER)

    after = client.patch(NUMBER, {})

    assert (after.json(), after["ETag"]) == (before.json(), before["ETag"])


# --- Versions -------------------------------------------------------------------------------------


def test_answers_a_new_etag_after_every_change(workspace, client, number):
    other = make_policy(workspace)
    bodies = [{"nickname": "A"}, {INBOUND: ["GB"]}, {OUTBOUND: ["GB"]}, {"policy": other.pk}]

    tags = [client.get(NUMBER)["ETag"]] + [client.patch(NUMBER, body)["ETag"] for body in bodies]

    assert len(set(tags)) == 5
    assert client.get(NUMBER)["ETag"] == tags[-1]
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)


@pytest.mark.parametrize("written", ["{}", "W/{}", '"x", {}', "*"])
def test_edits_the_version_that_was_read(client, number, written):
    etag = client.get(NUMBER)["ETag"]

    response = client.patch(NUMBER, {"nickname": "Desk"}, headers={"If-Match": written.format(etag)})

    assert response.status_code == 200


@pytest.mark.parametrize("body", [{"nickname": "B"}, {INBOUND: ["GB"]}, {"policy": 1}, {INBOUND: []}, {}])
@pytest.mark.parametrize("written", ["{}", "W/{}", "nonsense", '""', ""])
def test_refuses_to_edit_another_version(client, number, body, written):
    stale = client.get(NUMBER)["ETag"]
    current = client.patch(NUMBER, {"nickname": "A"})["ETag"]

    response = client.patch(NUMBER, body, headers={"If-Match": written.format(stale)})

    assert_problem(response, 412)
    assert response["ETag"] == current
    assert client.get(NUMBER).json()["nickname"] == "A"


def test_lets_the_second_of_two_editors_know(workspace, client, number):
    colleague = client_of(workspace)
    etag = client.get(NUMBER)["ETag"]

    first = client.patch(NUMBER, {INBOUND: ["US"]}, headers={"If-Match": etag})
    second = colleague.patch(NUMBER, {INBOUND: ["GB"]}, headers={"If-Match": etag})

    assert first.status_code == 200
    assert_problem(second, 412)
    assert client.get(NUMBER).json()[INBOUND] == ["US"]


@pytest.mark.postgres
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's test database cannot be shared by threads")
@pytest.mark.django_db(transaction=True)
def test_lets_one_of_many_simultaneous_editors_win():
    workspace = make_workspace()
    make_phone_number(workspace)
    clients = [client_of(workspace) for _ in range(6)]
    etag = clients[0].get(NUMBER)["ETag"]
    together, answers = threading.Barrier(len(clients)), []

    def edit(client, code):
        together.wait()
        answers.append(client.patch(NUMBER, {INBOUND: [code]}, headers={"If-Match": etag}).status_code)
        connections.close_all()

    codes = ("US", "GB", "DE", "FR", "ES", "IT")
    threads = [threading.Thread(target=edit, args=pair) for pair in zip(clients, codes, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [200, 412, 412, 412, 412, 412]


def test_asks_the_same_number_of_queries_for_one_number_and_for_many(
    workspace, client, number, django_assert_max_num_queries
):
    for last in range(1, 20):
        make_phone_number(workspace, f"+141555501{last:02}")
    with scoped(workspace.pk):
        assert PhoneNumber.objects.count() == 20

    with django_assert_max_num_queries(4):
        assert len(client.get(LIST).json()["results"]) == 20
