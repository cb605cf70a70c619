"""Changing many numbers from their list: choosing them, looking first, then all or none; rights."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.urls import reverse

from accounts.roles import Role
from policies.models import PhoneNumber
from tests import factories
from tests.signing_in import messages_of, signed_in

LIST = reverse("admin:policies_phonenumber_changelist")
PAGE = reverse("admin:policies_phonenumber_bulk")
LOOK = {"look": "yes"}


@pytest.fixture
def editor(in_workspace):
    return signed_in(in_workspace, Role.POLICY_EDITOR)


@pytest.fixture
def numbers(in_workspace):
    policy = factories.make_policy(in_workspace, name="Desk")
    return [factories.make_phone_number(in_workspace, f"+1415555010{last}", policy=policy) for last in range(3)]


def words(answer):
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def chosen(client, rows, across=False, query=""):
    """What the list's action leads to."""
    given = {"action": "change_many", "_selected_action": [row.pk for row in rows], "select_across": int(across)}
    answer = client.post(f"{LIST}{query}", given)
    assert answer["Location"].startswith(PAGE)
    return dict(parse_qsl(urlsplit(answer["Location"]).query))


def agreed(client, asked):
    """Looks at what would change, then presses the button."""
    html = words(client.get(PAGE, asked))
    [planned] = re.findall(r'name="planned" value="(\w+)"', html)
    return client.post(PAGE, asked | {"planned": planned})


def countries(row):
    number = PhoneNumber.objects.select_related("policy__current_revision").get(pk=row.pk)
    return number.policy.current_revision.outbound["countries"]


def test_looks_first_and_then_changes_the_ticked_ones(editor, numbers):
    asked = chosen(editor, numbers[:2]) | {"what": "countries", "add_outbound": "Jamaica, gb"} | LOOK

    html = words(editor.get(PAGE, asked))

    assert "2 of 2 numbers would change, and something is opened." in html
    assert "2 numbers share “Desk” with others. They get one copy of it; the others keep it as it is." in html
    assert countries(numbers[0]) == ["CA", "US"]
    answer = agreed(editor, asked)
    assert "Changed 2 numbers. 1 new policy." in messages_of(answer)
    assert [countries(row) for row in numbers] == [["CA", "GB", "JM", "US"]] * 2 + [["CA", "US"]]


def test_all_that_the_list_shows_can_be_chosen(editor, numbers, in_workspace):
    factories.make_phone_number(in_workspace, "+447400123456")

    asked = chosen(editor, numbers[:1], across=True, query="?q=%2B1+415")

    assert 'What is to become of <span class="fc-tabular">3</span> numbers' in words(editor.get(PAGE, asked))
    agreed(editor, asked | {"what": "mode", "mode": "observing"} | LOOK)
    assert PhoneNumber.objects.filter(mode="observing").count() == 3


def test_what_cannot_be_done_is_said_of_each_number(editor, numbers):
    asked = chosen(editor, numbers) | {"what": "countries", "remove_outbound": "US, CA"} | LOOK

    html = words(editor.get(PAGE, asked))

    assert "This cannot be done; nothing was changed" in html
    assert html.count("nothing would be left of the list") == 3
    assert 'name="planned"' not in html


@pytest.mark.parametrize("reason", ["", "Helpline"])
def test_every_country_wants_a_reason(editor, numbers, reason):
    asked = chosen(editor, numbers) | {"what": "countries", "every_outbound": "yes", "reason": reason} | LOOK

    html = words(editor.get(PAGE, asked))

    assert ("every country (no restriction)</span>" in html) == bool(reason)
    assert ('name="planned"' in html) == bool(reason)


def test_what_changed_since_the_look_is_looked_at_again(editor, numbers):
    asked = chosen(editor, numbers) | {"what": "mode", "mode": "observing"} | LOOK

    answer = editor.post(PAGE, asked | {"planned": "00000000"})

    assert "Somebody else changed one of these numbers meanwhile." in words(answer)
    assert not PhoneNumber.objects.filter(mode="observing").exists()


def test_assigns_a_policy_and_closes_when_down(editor, numbers, in_workspace):
    policy = factories.make_policy(in_workspace, name="Night")
    asked = chosen(editor, numbers)

    agreed(editor, asked | {"what": "policy", "policy": str(policy.pk)} | LOOK)
    agreed(editor, asked | {"what": "when_down", "when_down": "dropped"} | LOOK)

    assert PhoneNumber.objects.filter(policy=policy, closed_when_down=True).count() == 3


def test_nothing_chosen_and_nonsense_are_said_in_words(editor, numbers):
    assert "No numbers are chosen" in words(editor.get(PAGE))
    asked = chosen(editor, numbers)
    for more in ({"what": "policy"}, {"what": "mode", "mode": "x"}, {"what": "countries", "add_inbound": "Atlantis"}):
        assert "This cannot be done" in words(editor.get(PAGE, asked | more | LOOK))
    assert "filter is not understood" in words(editor.get(PAGE, {"all": "yes", "list": "nothing=1"}))
    assert "Only" not in words(editor.get(PAGE, {"ids": "x,99999999999999999999", "what": "?"}))


def test_who_may_not_change_numbers_has_no_such_action(in_workspace, numbers):
    viewer = signed_in(in_workspace, Role.VIEWER)

    assert "change_many" not in words(viewer.get(LIST))
    assert viewer.get(PAGE).status_code == 403
    assert viewer.post(PAGE, {"ids": numbers[0].pk, "what": "mode", "mode": "observing"} | LOOK).status_code == 403
