"""The pages of the trusted and of the blocked callers, by role: adding, removing, and whom a block would have hit."""

from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse

from accounts.roles import Role
from accounts.scoping import scoped
from policies import lists
from policies.models import Decision, ListEntry
from tests.factories import make_phone_number, make_workspace, moment
from tests.signing_in import messages_of, signed_in

pytestmark = pytest.mark.django_db

CALLER = "+447400123456"
MAY_LIST = {Role.OWNER, Role.POLICY_EDITOR}
VERBS = {"trusted": lists.trust, "blockedcaller": lists.block_caller}
FORM = {"scope": "peer", "value": "+44 7400 123457", "direction": "", "channel": "", "days": "0", "reason": "known"}


def url(which, page, *arguments):
    return reverse(f"admin:policies_{which}_{page}", args=arguments)


def add(workspace, which, value=CALLER, scope="peer", **more):
    facts = {"reason": "known", "acting_user": None, "now": moment()} | more
    return VERBS[which](workspace_id=workspace.pk, scope=scope, value=value, **facts)


def seen(workspace, peer=CALLER, times=1, **more):
    with scoped(workspace.pk):
        for _ in range(times):
            facts = {"direction": "inbound", "channel": "phone_call", "verdict": "allow", "peer": peer} | more
            decision = Decision.objects.create(at=moment(), phone_number="+14155550100", **facts)
    return decision


def kept(workspace):
    with scoped(workspace.pk):
        return list(ListEntry.objects.order_by("pk"))


def shown(client, address, **parameters):
    answer = client.get(address, parameters)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("which", VERBS)
def test_owners_and_policy_editors_list_and_remove_and_others_look(workspace, which, role):
    client, entry = signed_in(workspace, role), add(workspace, which)
    remove, allowed = url(which, "remove", entry.pk), role in MAY_LIST

    assert "+44 7400 123456" in shown(client, url(which, "changelist"))
    assert (remove in shown(client, url(which, "change", entry.pk))) == allowed
    assert client.get(url(which, "add")).status_code == (200 if allowed else 403)
    assert client.post(url(which, "add"), FORM).status_code == (302 if allowed else 403)
    at_once = url(which, "at_once") + "?value=%2B447400123458&reason=seen"
    assert client.get(at_once).status_code == 403
    assert client.post(at_once).status_code == (302 if allowed else 403)
    assert client.get(remove).status_code == 403
    assert client.post(remove).status_code == (302 if allowed else 403)

    expected = ["+447400123457", "+447400123458"] if allowed else [CALLER]
    assert [row.value for row in kept(workspace)] == expected


def test_each_page_shows_its_own_list(workspace):
    add(workspace, "trusted", "203.0.113.7", "ip")
    entry = add(workspace, "blockedcaller")
    client = signed_in(workspace)

    assert "203.0.113.7" not in shown(client, url("blockedcaller", "changelist"))
    assert "+44 7400 123456" not in shown(client, url("trusted", "changelist"))
    assert client.get(url("trusted", "change", entry.pk)).status_code == 404
    assert client.post(url("trusted", "remove", entry.pk)).status_code == 404


def test_adds_what_the_form_says(workspace):
    answer = signed_in(workspace).post(url("trusted", "add"), FORM | {"days": "7", "direction": "outbound"})

    said = messages_of(answer)
    assert "Trusted: +44 7400 123457; spared captcha, limits and suspicion, outbound." in said
    (entry,) = kept(workspace)
    assert (entry.list, entry.value, entry.direction) == ("trusted", "+447400123457", "outbound")
    assert entry.expires_at - entry.added_at == timedelta(days=7)


def test_blocking_says_whom_it_would_have_hit_and_warns_of_our_own_numbers(workspace):
    make_phone_number(workspace, "+14155550100")
    seen(workspace, "+14155550111", times=2)
    seen(workspace, "+14155550112")
    form = FORM | {"scope": "prefix", "value": "+1415", "direction": "inbound"}

    said = messages_of(signed_in(workspace).post(url("blockedcaller", "add"), form))

    assert "Blocked: numbers that begin with +1415; never let through, inbound." in said
    assert "it would have hit 3 attempts of 2 callers that were let through" in said
    assert "It covers a number of your own: +1 415-555-0100." in said


def test_the_form_tells_whom_it_would_hit_before_it_is_sent(workspace):
    seen(workspace)
    client = signed_in(workspace)
    part = url("blockedcaller", "blast_radius")
    assert part in shown(client, url("blockedcaller", "add"))

    asked = {"scope": "peer", "value": CALLER, "direction": "inbound"}
    assert "it would have hit 1 attempt of 1 caller that was let through" in shown(client, part, **asked)
    assert "would have hit nobody" in shown(client, part, **asked | {"value": "+447400123400"})
    assert shown(client, part, **asked | {"value": "+4"}) == ""
    assert kept(workspace) == []
    assert signed_in(workspace, Role.VIEWER).get(part, asked).status_code == 403


def test_says_beside_the_field_why_somebody_is_not_trusted(workspace):
    client = signed_in(workspace)

    page = unescape(client.post(url("trusted", "add"), FORM | {"value": "+5351234567"}).content.decode())

    assert "Cuba is on the platform sanctions list; trust never stands above it" in page
    assert kept(workspace) == []


def test_does_not_know_entries_of_another_workspace(workspace):
    entry = add(make_workspace(), "trusted", "somebody-else", "subject")
    client = signed_in(workspace)

    assert "somebody-else" not in shown(client, url("trusted", "changelist"))
    assert client.get(url("trusted", "change", entry.pk)).status_code == 404
    assert client.post(url("trusted", "remove", entry.pk)).status_code == 404
