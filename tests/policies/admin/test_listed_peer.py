"""Blocking and trusting in one click, from the page of a decision and of a call."""

import re
from html import unescape

import pytest
from django.urls import reverse

from accounts.roles import Role
from accounts.scoping import scoped
from policies import lists
from policies.models import ListEntry
from tests.factories import make_phone_number, moment
from tests.monitoring.dashboards.rows import make_call, make_decision
from tests.signing_in import messages_of, signed_in

pytestmark = pytest.mark.django_db

CALLER = "+12125550123"


@pytest.fixture
def number(in_workspace):
    return make_phone_number(in_workspace)


def shown(client, page):
    answer = client.get(page)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def page_of(decision):
    return reverse("admin:policies_decision_change", args=[decision.pk])


def button(html, label):
    """The address and the warning of the form whose button says `label`; None where there is none."""
    for form in re.findall(r"<form.*?</form>", html, re.DOTALL):
        if re.search(rf"</span>{label}</button>", form):
            action, confirm = (re.search(rf' {name}="([^"]*)"', form) for name in ("action", "data-confirm"))
            return action.group(1), confirm.group(1)
    return None


def kept():
    return [(row.list, row.scope, row.value, row.direction) for row in ListEntry.objects.order_by("pk")]


def test_blocks_the_caller_of_a_decision_in_one_click_and_unblocks_it_there(in_workspace, number):
    page, client = page_of(make_decision(number, CALLER, moment())), signed_in(in_workspace)
    block, confirm = button(shown(client, page), "Block this caller")
    assert "Nothing that comes from +1 212-555-0123 is let through any more" in confirm
    assert "it would have hit 1 attempt of 1 caller that was let through" in confirm

    answer = client.post(block)

    assert answer["Location"] == page
    assert "Blocked: +1 212-555-0123; never let through, inbound." in messages_of(answer)
    assert kept() == [("blocked", "peer", CALLER, "inbound")]
    assert ListEntry.objects.get().reason.startswith("Because of decision ")
    html = shown(client, page)
    assert button(html, "Block this caller") is button(html, "Trust this number") is None

    unblock, _confirm = button(html, "Unblock")
    assert client.post(unblock)["Location"] == page
    assert kept() == []


def test_blocks_a_destination_outbound(in_workspace, number):
    page = page_of(make_decision(number, CALLER, moment(), direction="outbound"))
    client = signed_in(in_workspace)
    block, confirm = button(shown(client, page), "Block this number")
    assert "Nothing goes out to +1 212-555-0123 any more" in confirm

    client.post(block)

    assert kept() == [("blocked", "peer", CALLER, "outbound")]


def test_trusts_a_number_in_one_click(in_workspace, number):
    page, client = page_of(make_decision(number, CALLER, moment())), signed_in(in_workspace)
    trust, confirm = button(shown(client, page), "Trust this number")
    assert "+1 212-555-0123 starts or receives is spared the captcha, the limits and suspicion" in confirm
    assert "sanctions still apply" in confirm

    assert client.post(trust)["Location"] == page

    assert kept() == [("trusted", "peer", CALLER, "")]
    html = shown(client, page)
    assert button(html, "Trust this number") is None
    assert button(html, "Block this caller") is not None


def test_a_sanctioned_number_has_no_button_to_trust_it_and_the_page_says_why(in_workspace, number):
    page, client = page_of(make_decision(number, "+5352345678", moment())), signed_in(in_workspace)
    html = shown(client, page)

    assert button(html, "Trust this number") is None
    assert "It cannot be trusted: Cuba is on the platform sanctions list." in html


def test_a_caller_without_a_number_cannot_be_listed(in_workspace, number):
    html = shown(signed_in(in_workspace), page_of(make_decision(number, "anonymous", moment())))

    assert "The other side</h2>" not in html


def test_warns_before_one_of_our_own_numbers_is_blocked(in_workspace, number):
    make_phone_number(in_workspace, "+14155550199")
    html = shown(signed_in(in_workspace), page_of(make_decision(number, "+14155550199", moment())))

    assert "It covers a number of your own: +1 415-555-0199." in button(html, "Block this caller")[1]


def test_says_by_which_prefix_a_caller_is_blocked(in_workspace, number):
    page = page_of(make_decision(number, CALLER, moment()))
    facts = {"reason": "spam wave", "acting_user": None, "now": moment()}
    lists.block_caller(workspace_id=in_workspace.pk, scope="prefix", value="+1212", **facts)

    html = shown(signed_in(in_workspace, Role.VIEWER), page)

    assert "Blocked: numbers that begin with +1212; never let through, inbound." in html
    assert button(html, "Unblock") is None


def test_who_may_only_look_sees_no_button(in_workspace, number):
    html = shown(signed_in(in_workspace, Role.ANALYST), page_of(make_decision(number, CALLER, moment())))

    assert "Block this caller" not in html


def test_the_page_of_a_call_has_the_same_buttons(in_workspace, number):
    call = make_call(moment())
    page, client = reverse("admin:monitoring_call_change", args=[call.pk]), signed_in(in_workspace)
    block, _confirm = button(shown(client, page), "Block this caller")

    assert client.post(block)["Location"] == page

    assert kept() == [("blocked", "peer", call.peer, "inbound")]
    with scoped(in_workspace.pk):
        assert ListEntry.objects.get().reason == f"Because of call {call.call_reference}"
    assert button(shown(client, page), "Unblock") is not None
