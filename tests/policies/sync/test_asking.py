"""Whom UponAI asks: this console on request, with the webhook of before behind it; nobody's webhook gets lost."""

import pytest

from accounts.models import Workspace
from policies import actions, answering, approvals, asking, unjudging
from policies.gate import snapshots
from policies.models import PhoneNumber, SyncTarget
from policies.rules_input import Refused
from policies.sync import bindings, connection, drift, drifted, push
from policies.widening import NeedsApproval
from tests.factories import make_member, make_phone_number, moment

pytestmark = pytest.mark.django_db

NUMBER, THEIRS, OTHER = "+14155550100", "https://crm.example.com/calls", "https://other.example.com/calls"


@pytest.fixture
def number(in_workspace, uponai):
    uponai.add_number(NUMBER, inbound_webhook_url=THEIRS)
    return make_phone_number(in_workspace, inbound_agents=["agent_inbound"], inbound_webhook_url=THEIRS)


def who():
    return {"acting_user": None, "now": moment()}


def ask(number, **more):
    return asking.ask_console(workspace=number.workspace, phone_numbers=[number], **who(), **more)


def pushed():
    SyncTarget.objects.exclude(due_at=None).update(due_at=moment())
    return [push.push(row.pk, clock=moment) for row in SyncTarget.objects.exclude(due_at=None)]


def at_uponai(uponai):
    shown = uponai.retell.phone_number.retrieve(NUMBER)
    return shown.inbound_webhook_url, shown.inbound_sms_webhook_url


def fresh(number):
    return PhoneNumber.objects.get(pk=number.pk)


def test_sets_ours_and_chains_the_one_of_before(in_workspace, number, uponai):
    asked = ask(number)

    assert [change.phone_number for change in asked.changed] == [NUMBER]
    assert asked.changed[0].details[0] == f"About calls: this console instead of {THEIRS}. {THEIRS} is asked behind it."
    assert pushed() == [True]
    ours = asking.address(in_workspace)
    assert at_uponai(uponai) == (ours, ours)
    row = fresh(number)
    assert (row.chained_webhook_url, row.chained_sms_webhook_url) == (THEIRS, "")
    assert (row.inbound_webhook_url, row.found["inbound_webhook_url"]) == (ours, THEIRS)


def test_saying_it_again_changes_nothing_and_never_chains_ourselves(number, uponai):
    ask(number)
    pushed()

    assert ask(number).unchanged == 1

    PhoneNumber.objects.update(asks_console=False)
    ask(number)
    pushed()
    assert fresh(number).chained_webhook_url == THEIRS


def test_chains_what_uponai_asks_at_the_moment_of_the_change(in_workspace, number, uponai):
    ask(number)
    uponai.retell.phone_number.update(NUMBER, inbound_webhook_url=OTHER)

    assert pushed() == [True]

    assert fresh(number).chained_webhook_url == OTHER
    assert fresh(number).found["inbound_webhook_url"] == OTHER
    assert snapshots.load(in_workspace.pk).answering[NUMBER].chained_webhook_url == OTHER


def test_the_gate_knows_the_chained_one_before_uponai_is_told(number, uponai, nobody_listens):
    PhoneNumber.objects.update(asks_console=True)
    SyncTarget.objects.update(due_at=moment())

    assert pushed() == [False]

    assert at_uponai(uponai)[0] == THEIRS
    assert "until the live store answers" in SyncTarget.objects.get().error


def test_one_chained_by_hand_is_never_lost(number, uponai):
    answering.edit_answering(phone_number=number, chained_webhook_url=OTHER, **who())

    asked = ask(number)

    assert not asked.changed
    assert f"asks {THEIRS}" in asked.left[0].problem
    assert OTHER in asked.left[0].problem
    assert pushed() == []
    assert at_uponai(uponai)[0] == THEIRS


def test_one_that_cannot_be_chained_stays(number, settings):
    settings.CHAINED_WEBHOOKS_ON_LOOPBACK = False
    PhoneNumber.objects.update(inbound_webhook_url="http://10.0.0.7/calls")

    asked = ask(fresh(number))

    assert "10.0.0.7 is not" in asked.left[0].problem


def test_asking_the_one_of_before_puts_it_back_and_forgets_the_chain(number, uponai):
    ask(number)
    pushed()

    asking.ask_previous(workspace=number.workspace, phone_numbers=[number], **who())
    assert pushed() == [True]

    row = fresh(number)
    assert at_uponai(uponai) == (THEIRS, None)
    assert (row.asks_console, row.put_back, row.chained_webhook_url) == (False, {}, "")
    ask(number)
    assert pushed() == [True]
    assert fresh(number).chained_webhook_url == THEIRS


def test_a_webhook_that_somebody_changes_at_uponai_is_drift_put_right_with_theirs_behind_ours(number, uponai):
    ask(number)
    pushed()
    PhoneNumber.objects.update(imported_at=moment())
    uponai.retell.phone_number.update(NUMBER, inbound_webhook_url=OTHER)

    report = drift.check(number.workspace_id, clock=moment)

    assert [finding.outcome for finding in report.found] == ["re_asserted"]
    assert pushed() == [True]
    assert at_uponai(uponai)[0] == asking.address(number.workspace)
    assert fresh(number).chained_webhook_url == OTHER


def foreign(number, uponai):
    """Somebody sets another webhook at UponAI, and the comparison has seen it."""
    ask(number)
    pushed()
    PhoneNumber.objects.update(imported_at=moment())
    uponai.retell.phone_number.update(NUMBER, inbound_webhook_url=OTHER)
    drift.check(number.workspace_id, clock=moment)


def test_adopting_it_leaves_the_number_to_them(number, uponai):
    foreign(number, uponai)

    edit = drifted.adopt(phone_number=number, **who())

    assert edit.notice.startswith("UponAI goes on asking the webhook that it has now.")
    assert pushed() == [True]
    assert at_uponai(uponai)[0] == OTHER
    assert drift.check(number.workspace_id, clock=moment).found == []


def _sms_of_ours(number):
    return {"inbound_sms_webhook_url": asking.address(number.workspace)}


def test_leaving_a_foreign_webhook_makes_it_the_wanted_one(number, uponai):
    foreign(number, uponai)

    assert asking.leave_webhooks(phone_number=number, **who())

    assert not bindings.webhooks_differ(fresh(number), {"inbound_webhook_url": OTHER, **_sms_of_ours(number)})
    assert not asking.leave_webhooks(phone_number=number, **who())
    assert pushed() == [True]
    assert (at_uponai(uponai)[0], fresh(number).put_back) == (OTHER, {})


@pytest.mark.parametrize("comes", ["while it is decided", "after it was sent"])
def test_an_update_under_way_does_not_undo_what_was_left_to_them(number, uponai, comes):
    foreign(number, uponai)
    target = SyncTarget.objects.get()
    ours = asking.address(number.workspace)
    if comes == "while it is decided":
        # A worker has its request under way: it sends what was wanted when it took the number.
        lease = push._claim(target.pk, now=moment())
        asking.leave_webhooks(phone_number=number, **who())
        with connection.client(number.workspace_id) as client:
            push._carry_out(lease, client, moment)
        assert at_uponai(uponai)[0] == ours
    else:
        # A request was left unanswered, and comes after all was put in order.
        asking.leave_webhooks(phone_number=number, **who())
        SyncTarget.objects.update(unsure_since=moment())
        assert pushed() == [True]
        uponai.retell.phone_number.update(NUMBER, inbound_webhook_url=ours)
        SyncTarget.objects.update(verify_at=moment())
        assert push.push(target.pk, clock=moment)

    pushed()

    assert at_uponai(uponai)[0] == OTHER
    SyncTarget.objects.update(verify_at=moment())
    push.push(target.pk, clock=lambda: moment() + push.LOOKS_AFTER[-1])
    assert (fresh(number).put_back, fresh(number).asks_console) == ({}, False)


@pytest.mark.parametrize("leaves", ["ask_previous", "leave_webhooks"])
def test_what_nobody_judges_any_more_needs_a_second_person(number, uponai, leaves):
    foreign(number, uponai)
    actions.edit_phone_number(phone_number=number, inbound_countries=["US", "NG"], **who())
    Workspace.objects.update(approval_tier="T2")
    verbs = {
        "ask_previous": lambda: asking.ask_previous(workspace=number.workspace, phone_numbers=[number], **who()),
        "leave_webhooks": lambda: asking.leave_webhooks(phone_number=number, **who()),
    }

    with pytest.raises(NeedsApproval) as needs:
        verbs[leaves]()

    assert fresh(number).asks_console
    row = approvals.propose(needs.value)
    assert row.difference["parts"][0]["others"] == [{"words": unjudging.JUDGED_NO_LONGER, "tier": "T2"}]
    approvals.approve(proposal=row, acting_user=make_member(number.workspace), now=moment())
    assert (fresh(number).asks_console, fresh(number).put_back != {}) == (False, True)


def test_what_is_only_observed_is_let_through_already(number, uponai):
    ask(number)
    actions.edit_phone_number(phone_number=number, inbound_countries=["US", "NG"], **who())
    PhoneNumber.objects.update(mode="observing")
    Workspace.objects.update(approval_tier="T2")

    assert asking.ask_previous(workspace=number.workspace, phone_numbers=[number], **who()).changed


@pytest.mark.parametrize(
    ("console", "words"),
    [
        ("http://127.0.0.1:8000", "an address within this machine"),
        ("http://fraud.example.com", "a webhook needs https"),
    ],
)
def test_says_that_uponai_cannot_reach_an_address_and_changes_nothing(number, settings, console, words):
    settings.UPONAI_API_URL, settings.CONSOLE_URL = "https://api.uponai.com", console

    with pytest.raises(Refused, match=words):
        ask(number)

    assert not fresh(number).asks_console
    assert ask(number, even_if_unreachable=True).changed


def test_names_a_number_that_is_not_ours(number):
    with pytest.raises(Refused, match=r"\+14155550199 is no number of this workspace"):
        asking.numbers_there([NUMBER, "+14155550199"])
