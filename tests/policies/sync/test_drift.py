"""What somebody changed at UponAI: noticed, put right where it is wider, left to a person where it is not."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import audit
from accounts.models import AuditEntry
from policies import actions, holds
from policies.models import PhoneNumber, SyncTarget, UponaiConnection
from policies.sync import bindings, drift, lists, progress, push, schedule
from policies.sync import connection as to_uponai
from policies.uponai.client import UponaiClient, UponaiTrouble
from tests.factories import make_phone_number, make_workspace, moment

pytestmark = pytest.mark.django_db

FRONT, BACK = "+14155550100", "+14155550101"
OURS = {"allowed_inbound_country_list": ["US", "CA"], "allowed_outbound_country_list": ["US", "CA"]}


@pytest.fixture
def workspace_at_uponai(in_workspace, uponai):
    """Two numbers, both as wanted at UponAI."""
    uponai.post("numbers", numbers=[{"phone_number": e164, **OURS} for e164 in (FRONT, BACK)])
    for e164 in (FRONT, BACK):
        make_phone_number(in_workspace, e164, synced=False)
    push_all()
    return in_workspace


def push_all(clock=moment):
    return [push.push(pk, clock=clock) for pk in schedule.due_targets(now=clock())]


def check(workspace, clock=moment):
    return drift.check(workspace.pk, clock=clock)


def later(**how):
    return lambda: moment() + timedelta(**how)


def change(uponai, e164=FRONT, **lists):
    uponai.retell.phone_number.update(e164, **{f"allowed_{side}_country_list": codes for side, codes in lists.items()})


def remote(uponai, e164=FRONT):
    number = uponai.retell.phone_number.retrieve(e164)
    lists = number.allowed_inbound_country_list, number.allowed_outbound_country_list
    return tuple(None if codes is None else sorted(codes) for codes in lists)


def target(e164=FRONT):
    return SyncTarget.objects.select_related("phone_number").get(phone_number__e164=e164)


def actions_of(e164=FRONT):
    entries = AuditEntry.objects.filter(object_type="policies.phonenumber", object_id=str(target(e164).phone_number_id))
    return list(entries.order_by("sequence").values_list("action", flat=True))


def test_numbers_that_are_as_wanted_are_noted_and_left_alone(workspace_at_uponai, uponai):
    before = moment()
    report = check(workspace_at_uponai)

    assert (report.numbers, report.as_wanted, report.found) == (2, 2, [])
    assert target().verified_at > before
    assert (target().state, target().due_at) == ("synced", None)
    row = UponaiConnection.objects.get()
    assert row.drift_checked_at > before
    assert row.drift_due_at - row.drift_checked_at == timedelta(minutes=15)
    assert row.drift_lease_until is None


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"outbound": ["US", "CA", "JM", "LV"]}, "UponAI also allows Jamaica and Latvia to be called"),
        ({"inbound": None}, "UponAI allows every country to call it"),
        ({"inbound": ["US", "JM"]}, "UponAI also allows Jamaica to call it and does not allow Canada to call it"),
        ({"inbound": ["US", "CA", "CU"]}, "UponAI also allows Cuba to call it"),
    ],
)
def test_what_is_wider_at_uponai_is_put_right(workspace_at_uponai, uponai, lists, words):
    change(uponai, **lists)

    [found] = check(workspace_at_uponai).found

    assert (found.phone_number, found.outcome, found.sentence) == (FRONT, "re_asserted", words)
    row = target()
    assert (row.state, row.error, len(row.reasserted_at)) == ("drift", words, 1)
    assert row.drift_since
    assert row.due_at
    assert actions_of() == ["sync.re_assert"]
    assert push_all() == [True]
    assert remote(uponai) == (["CA", "US"], ["CA", "US"])
    assert target().state == "synced"
    assert audit.verify(workspace_at_uponai.pk).problem == ""


def test_what_is_merely_narrower_is_left_to_a_person(workspace_at_uponai, uponai):
    change(uponai, outbound=["US"])

    [found] = check(workspace_at_uponai).found

    assert found.outcome == "left"
    row = target()
    assert (row.state, row.due_at) == ("drift", None)
    assert row.error == "UponAI does not allow Canada to be called"
    assert row.observed == {"inbound": ["CA", "US"], "outbound": ["US"]}
    assert push_all() == []
    since = row.drift_since
    check(workspace_at_uponai)
    assert (target().drift_since, actions_of()) == (since, ["sync.drift"])


def test_a_number_that_is_in_order_again_by_itself_is_no_drift_any_more(workspace_at_uponai, uponai):
    change(uponai, outbound=["US"])
    check(workspace_at_uponai)
    change(uponai, outbound=["CA", "US"])

    assert check(workspace_at_uponai).found == []

    row = target()
    assert (row.state, row.error, row.drift_since) == ("synced", "", None)


@pytest.mark.parametrize("lists", [{"inbound": ["CA", "US", "US"]}, {"inbound": ["US", "CA"]}])
def test_another_order_and_spelling_is_no_drift(workspace_at_uponai, uponai, lists):
    change(uponai, **lists)

    assert check(workspace_at_uponai).found == []


def test_no_list_and_an_empty_one_mean_the_same(in_workspace, uponai):
    uponai.post("numbers", numbers=[{"phone_number": FRONT, "allowed_inbound_country_list": []}])
    make_phone_number(in_workspace, FRONT, inbound=None, outbound=None)

    assert check(in_workspace).found == []


def test_three_times_within_an_hour_are_enough_until_a_person_decides(workspace_at_uponai, uponai):
    outcomes = []
    for minutes in (0, 15, 30, 45, 75):
        change(uponai, outbound=["US", "CA", "JM"])
        [found] = check(workspace_at_uponai, later(minutes=minutes)).found
        outcomes.append(found.outcome)
        push_all(later(minutes=minutes))

    assert outcomes == ["re_asserted"] * 3 + ["given_up"] * 2
    row = target()
    assert (row.state, row.due_at) == ("drift", None)
    assert "somebody else keeps changing it" in row.error
    assert list(drift.given_up()) == [row]
    assert actions_of().count("sync.give_up") == 1
    assert remote(uponai)[1] == ["CA", "JM", "US"]


def test_rows_on_their_way_are_left_alone(workspace_at_uponai, uponai):
    change(uponai, outbound=["JM"])
    change(uponai, BACK, outbound=["JM"])
    now = moment()
    SyncTarget.objects.filter(pk=target().pk).update(lease_until=now + timedelta(minutes=1))
    SyncTarget.objects.filter(pk=target(BACK).pk).update(verify_at=now + timedelta(minutes=1))

    report = check(workspace_at_uponai)

    assert (report.waiting, report.found) == (2, [])
    assert target().state == target(BACK).state == "synced"


def test_what_was_seen_before_a_push_that_ended_meanwhile_is_no_drift(workspace_at_uponai, uponai, monkeypatch):
    """The page is from before the edit; when it is compared, the edit has reached UponAI."""
    pages = UponaiClient.phone_number_pages

    def with_a_push_meanwhile(client):
        for page in pages(client):
            holds.impose(
                workspace_id=workspace_at_uponai.pk,
                scope="country",
                value="CA",
                reason="attack",
                expires_at=moment() + timedelta(hours=1),
                acting_user=None,
                now=moment(),
            )
            assert push_all() == [True, True]
            yield page

    monkeypatch.setattr(UponaiClient, "phone_number_pages", with_a_push_meanwhile)

    report = check(workspace_at_uponai)

    assert (report.waiting, report.found) == (2, [])
    assert remote(uponai) == (["US"], ["US"])


def test_a_hold_that_ended_a_second_ago_is_no_drift(workspace_at_uponai, uponai):
    hold = holds.impose(
        workspace_id=workspace_at_uponai.pk,
        scope="workspace",
        value=None,
        reason="attack",
        expires_at=moment() + timedelta(hours=1),
        acting_user=None,
        now=moment(),
    )
    push_all()
    ended = later(hours=1, seconds=1)

    report = check(workspace_at_uponai, ended)

    assert {found.outcome for found in report.found} == {"sent"}
    assert actions_of() == []
    assert hold.settled_at is None
    push_all(ended)
    assert remote(uponai) == (["CA", "US"], ["CA", "US"])


def test_new_numbers_are_adopted_and_lost_ones_noted(workspace_at_uponai, uponai):
    uponai.post("numbers", numbers=[{"phone_number": "+14155550102"}])
    uponai.retell.phone_number.delete(BACK)

    report = check(workspace_at_uponai)

    assert (report.added, report.missing) == (1, 1)
    assert PhoneNumber.objects.filter(e164="+14155550102").exists()
    assert PhoneNumber.objects.get(e164=BACK).missing_since
    uponai.post("numbers", numbers=[{"phone_number": BACK, **OURS}])
    assert check(workspace_at_uponai).missing == 0
    assert PhoneNumber.objects.get(e164=BACK).missing_since is None
    assert actions_of(BACK) == ["phone_number.missing", "phone_number.came_back"]


def test_a_number_refused_while_it_was_lost_gets_what_is_wanted_once_it_is_back(workspace_at_uponai, uponai):
    PhoneNumber.objects.filter(e164=FRONT).update(missing_since=moment())
    SyncTarget.objects.filter(pk=target().pk).update(
        state="failed", due_at=None, error="UponAI does not know it (404)."
    )
    change(uponai, outbound=["US"])

    [found] = check(workspace_at_uponai).found
    assert found.outcome == "sent"
    assert push_all() == [True]
    assert remote(uponai) == (["CA", "US"], ["CA", "US"])


def test_what_uponai_has_after_all_counts_as_applied(workspace_at_uponai, uponai):
    """Refused, then made so at UponAI by hand: all of the edit is there, and an end of a hold is no foreign change."""
    policy = target().phone_number.policy
    actions.edit_country_policy(policy=policy, outbound={"countries": ["US"]}, acting_user=None, now=moment())
    SyncTarget.objects.filter(pk=target().pk).update(state="failed", due_at=None, error="UponAI answered 400.")
    change(uponai, outbound=["US"])

    check(workspace_at_uponai)

    assert progress.of_policy(policy.pk).complete
    assert lists.of_json(target().applied).same_as(lists.of_json(target().observed))


def test_agents_that_are_bound_again_are_unbound_again(in_workspace, uponai):
    ours = dict.fromkeys(bindings.WEBHOOKS, bindings.address_of(in_workspace.endpoint))
    agents = [{"agent_id": "agent_a", "weight": 1}]
    uponai.post("numbers", numbers=[{"phone_number": FRONT, **ours, **OURS}])
    make_phone_number(in_workspace, FRONT, closed_when_down=True, asks_console=True)
    SyncTarget.objects.update(applied={"inbound": ["CA", "US"], "outbound": ["CA", "US"]})
    assert check(in_workspace).found == []
    uponai.retell.phone_number.update(FRONT, inbound_agents=agents)

    [found] = check(in_workspace).found

    assert found.outcome == "re_asserted"
    assert "agents bound" in found.sentence
    push_all()
    assert not uponai.retell.phone_number.retrieve(FRONT).inbound_agents


def test_trouble_is_noted_and_the_next_look_comes_sooner(workspace_at_uponai, uponai):
    uponai.post("faults", rate=1, kinds=["500"], seed=1)

    with pytest.raises(UponaiTrouble):
        check(workspace_at_uponai)

    row = UponaiConnection.objects.get()
    assert "500" in row.drift_error
    assert row.drift_lease_until is None
    assert moment() < row.drift_due_at < moment() + timedelta(minutes=15)


def test_two_do_not_compare_at_once_and_a_lost_lease_ends(workspace_at_uponai):
    now = moment()
    drift._claim(workspace_at_uponai, now=now)

    with pytest.raises(drift.Busy):
        check(workspace_at_uponai)
    assert drift.check_if_due(workspace_at_uponai.pk, clock=moment) is None

    assert drift.check_if_due(workspace_at_uponai.pk, clock=later(minutes=3)).numbers == 2
    assert drift.due(now=moment()) == []
    assert drift.due(now=moment() + timedelta(minutes=20)) == [workspace_at_uponai.pk]


def test_numbers_of_a_workspace_that_nobody_looked_at_are_due(in_workspace):
    make_phone_number(in_workspace)
    make_workspace()

    assert drift.due(now=moment()) == [in_workspace.pk]


def test_one_strange_row_does_not_hide_the_others(workspace_at_uponai, uponai, monkeypatch):
    pages = UponaiClient.phone_number_pages

    def strange(client):
        for page in pages(client):
            yield [{**item, "nickname": 7} if item["phone_number"] == BACK else item for item in page] + [None]

    monkeypatch.setattr(UponaiClient, "phone_number_pages", strange)
    change(uponai, outbound=None)

    report = check(workspace_at_uponai)

    assert (report.unreadable, report.missing, len(report.found)) == (2, 0, 1)
    assert "2 numbers of UponAI's list cannot be read" in UponaiConnection.objects.get().drift_error


def test_asks_no_more_often_for_more_numbers(workspace_at_uponai, uponai, monkeypatch):
    monkeypatch.setattr(to_uponai, "NOTED_EVERY", timedelta(hours=1))  # else it hangs on how fast the machine is

    def queries():
        check(workspace_at_uponai)
        with CaptureQueriesContext(connection) as captured:
            check(workspace_at_uponai)
        return len(captured)

    few = queries()
    more = [f"+1415555{line:04}" for line in range(110, 140)]
    uponai.post("numbers", numbers=[{"phone_number": e164, **OURS} for e164 in more])
    for e164 in more:
        make_phone_number(workspace_at_uponai, e164)

    assert queries() <= few


def test_the_command_tells_what_it_found(workspace_at_uponai, uponai, capsys):
    change(uponai, outbound=["US"])
    make_workspace(uponai_key="")

    call_command("drift", "--workspace", workspace_at_uponai.slug)
    assert f"{FRONT}: UponAI does not allow Canada to be called; left to you" in capsys.readouterr().out

    call_command("drift", "--json")
    [report] = json.loads(capsys.readouterr().out)["workspaces"].values()
    assert report["found"][0]["phone_number"] == FRONT
