"""The pages of country policies: saving a revision, refusals beside their field, stale edits, going back."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from accounts.models import ApiToken, AuditEntry
from accounts.roles import Role
from accounts.scoping import scoped
from policies import actions
from policies.models import CountryPolicy, SyncTarget
from tests import factories
from tests.signing_in import in_place, messages_of, signed_in

HIDDEN = re.compile(r'<input type="hidden"\s+name="([^"]+)"\s+value="([^"]*)"')
PARTS = ("prefix", "action", "enforced")


def address(name: str, policy: CountryPolicy) -> str:
    return reverse(f"admin:policies_countrypolicy_{name}", args=[policy.pk])


def fresh(policy: CountryPolicy) -> CountryPolicy:
    return CountryPolicy.objects.select_related("current_revision").get(pk=policy.pk)


@pytest.fixture
def policy(in_workspace):
    return factories.make_policy(in_workspace, name="Desk", inbound=["CA", "US"], outbound=["US"])


@pytest.fixture
def editor(in_workspace):
    return signed_in(in_workspace, Role.POLICY_EDITOR)


def prefixes(*rows: str) -> dict[str, list[str]]:
    """Each row as "prefix action enforced"."""
    columns = zip(*(row.rsplit(" ", 2) for row in rows), strict=True)
    return {f"outbound_prefix_rules-{part}": list(column) for part, column in zip(PARTS, columns, strict=True)}


def form(policy: CountryPolicy | None = None, **changes):
    fields = {
        "name": policy.name if policy else "New desk",
        "inbound_mode": "list",
        "inbound_countries": ["CA", "US"],
        "outbound_mode": "list",
        "outbound_countries": ["US"],
    }
    if policy:
        fields["expected_revision"] = str(fresh(policy).current_revision.number)
    return fields | changes


def entries_of(page):
    """What the page on which a change is looked at sends when it is agreed to."""
    found = HIDDEN.findall(page.content.decode())
    return {name: [value for other, value in found if other == name] for name, _ in found}


def test_saving_makes_a_revision_for_every_number_that_follows(editor, in_workspace, policy):
    numbers = [factories.make_phone_number(in_workspace, f"+1415555010{n}", policy=policy) for n in range(2)]

    response = editor.post(address("change", policy), form(policy, inbound_countries=["GB", "US"], reason="London"))
    assert fresh(policy).current_revision.number == 1  # what changes several numbers is looked at first
    response = editor.post(address("change", policy), entries_of(response))

    assert response.status_code == 302
    assert "revision 2" in messages_of(response)
    assert "2 numbers" in messages_of(response)
    revision = fresh(policy).current_revision
    assert (revision.inbound["countries"], revision.reason) == (["GB", "US"], "London")
    assert SyncTarget.objects.filter(phone_number__in=numbers, state="pending").count() == 2
    assert AuditEntry.objects.order_by("-sequence").first().action == "country_policy.edit"


def test_an_edit_of_a_shared_policy_is_looked_at_before_it_is_made(editor, in_workspace, policy):
    for n in range(2):
        factories.make_phone_number(in_workspace, f"+1415555010{n}", policy=policy)
    wanted = form(policy, inbound_countries=["GB", "US"])

    page = editor.post(address("change", policy), wanted)

    html = " ".join(page.content.decode().split())
    assert "Saving changes 2 numbers at UponAI, and opens something." in html
    assert re.search(r'fc-come">.{0,60}United Kingdom</span>', html)
    assert re.search(r'fc-gone">.{0,60}Canada</span>', html)
    again = editor.post(address("change", policy), entries_of(page) | {"edit_again": "yes"})
    assert "Nothing was saved. Your entries are still here." in again.content.decode()
    assert "Please correct" not in again.content.decode()
    assert "has-error" not in again.content.decode()
    assert editor.post(address("change", policy), wanted | {"planned": "00000000"}).status_code == 200
    assert fresh(policy).current_revision.number == 1


def test_the_look_tells_that_somebody_else_changed_it_meanwhile(editor, in_workspace, policy):
    for n in range(2):
        factories.make_phone_number(in_workspace, f"+1415555010{n}", policy=policy)
    wanted = form(policy, inbound_countries=["GB", "US"])
    assert "changed meanwhile" not in editor.post(address("change", policy), wanted).content.decode()
    factories.make_token(in_workspace)
    token = ApiToken.objects.get()
    inbound = {"countries": ["MX"]}
    actions.edit_country_policy(policy=policy, inbound=inbound, acting_user=token, now=factories.moment())

    look = editor.post(address("change", policy), wanted)

    assert "The policy was changed meanwhile" in look.content.decode()
    assert f"by API token {token.name}" in " ".join(editor.get(address("change", policy)).content.decode().split())


def test_what_changes_nothing_at_uponai_needs_no_look(editor, in_workspace, policy):
    for n in range(2):
        factories.make_phone_number(in_workspace, f"+1415555010{n}", policy=policy)

    assert editor.post(address("change", policy), form(policy, name="Front desk")).status_code == 302


def test_the_page_shows_how_many_numbers_have_the_newest_rules(editor, in_workspace, policy):
    factories.make_phone_number(in_workspace, "+14155550100", policy=policy)
    factories.make_phone_number(in_workspace, "+14155550101", policy=policy, synced=False)
    refused = factories.make_phone_number(in_workspace, "+14155550102", policy=policy, synced=False)
    SyncTarget.objects.filter(phone_number=refused).update(state="failed", error="UponAI answered 422: no.")

    html = " ".join(editor.get(address("change", policy)).content.decode().split())

    assert '<strong class="fc-tabular">1 of 3 applied</strong>, 1 on its way, 1 refused by UponAI.' in html
    assert 'aria-valuenow="1"' in html
    assert "UponAI answered 422: no." in html
    panel = reverse("admin:policies_synctarget_progress", args=[policy.pk])
    assert panel in html
    SyncTarget.objects.update(state="synced", applied_generation=1)
    assert "UponAI has this for all 3 numbers." in " ".join(editor.get(panel).content.decode().split())


def test_a_copy_begins_with_the_same_rules(editor, in_workspace, policy):
    editor.post(address("clone", policy))

    copy = CountryPolicy.objects.select_related("current_revision").exclude(pk=policy.pk).get()
    assert copy.name == "Desk (copy)"
    assert copy.current_revision.inbound == fresh(policy).current_revision.inbound
    assert copy.phone_numbers.count() == 0


def test_the_page_says_how_many_numbers_saving_changes(editor, in_workspace, policy):
    factories.make_phone_number(in_workspace, policy=policy)

    html = editor.get(address("change", policy)).content.decode()

    assert "1 phone number</a> follows this policy." in html


def test_classes_and_prefixes_are_kept_and_shown_again(editor, policy):
    rules = {"outbound_class_premium_rate": "allow"} | prefixes("+44 70 block yes", "+881 challenge no", " block yes")

    editor.post(address("change", policy), form(policy, **rules))

    outbound = fresh(policy).current_revision.outbound
    assert outbound["class_rules"] == {"premium_rate": "allow"}
    assert outbound["prefix_rules"] == [
        {"prefix": "+4470", "action": "block"},
        {"prefix": "+881", "action": "challenge", "observing": True},
    ]
    html = " ".join(editor.get(address("change", policy)).content.decode().split())
    assert 'name="outbound_prefix_rules-prefix" value="+4470"' in html
    assert '<option value="no" selected>only observed</option>' in html


def test_conditions_and_limits_are_kept_and_shown_again(editor, policy):
    rules = {
        "inbound_withheld": "guard",
        "inbound_observing": "on",
        "inbound_limits-caller-limit": "3",
        "inbound_class_voip": "guard:observed",
        "outbound_class_premium_rate": ":observed",
        "outbound_captcha": "on",
        "outbound_kyc_rules-channels-phone_call": "2",
        "outbound_limits-destination-off": "on",
    }

    editor.post(address("change", policy), form(policy, **rules))

    revision = fresh(policy).current_revision
    inbound, outbound = revision.inbound, revision.outbound
    assert (inbound["withheld"], inbound["observing"], inbound["observed_classes"]) == ("guard", True, ["voip"])
    assert inbound["class_rules"] == {"voip": "guard"}
    assert inbound["limits"] == {"caller": {"limit": 3, "window": 600}}
    assert (outbound["captcha"], outbound["observed_classes"]) == (True, ["premium_rate"])
    assert outbound["kyc_rules"] == {"channels": {"phone_call": 2}}
    assert (outbound["limits"], outbound["class_rules"]) == ({"destination": None}, {})
    shown = editor.get(address("change", policy)).content.decode()
    again = form(policy, **rules)
    assert editor.post(address("change", policy), again).status_code == 302
    assert fresh(policy).current_revision.number == 2  # what is shown and saved again is the same
    assert '<option value="guard:observed" selected>' in shown
    assert '<option value=":observed" selected>' in shown


def test_one_switch_leaves_no_international_calls(editor, policy):
    editor.post(address("change", policy), form(policy, home_only="on", inbound_preset="european_union"))
    alone = fresh(policy).current_revision
    editor.post(address("change", policy), form(policy, home_only="on", home_territories="on"))
    with_territories = fresh(policy).current_revision

    assert (alone.inbound["countries"], alone.outbound["countries"]) == (["US"], ["US"])
    assert with_territories.outbound["countries"] == ["AS", "GU", "MP", "PR", "US", "VI"]
    html = editor.get(address("change", policy)).content.decode()
    assert "United States does not include Puerto Rico, Guam" in html


def test_a_list_says_what_it_leaves_out(editor, in_workspace):
    policy = factories.make_policy(in_workspace, name="UK", inbound=["GB"], outbound=["FR"])

    html = " ".join(editor.get(address("change", policy)).content.decode().split())

    shown = 'data-left-out="id_{}_countries" data-main="GB" data-codes="GG IM JE"{}>'
    assert shown.format("inbound", "") in html
    assert shown.format("outbound", " hidden") in html


def test_a_preset_takes_the_place_of_the_list(editor, policy):
    editor.post(address("change", policy), form(policy, inbound_preset="european_union"))

    assert len(fresh(policy).current_revision.inbound["countries"]) == 27


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inbound_countries": []}, "The list is empty."),
        ({"inbound_mode": "unrestricted"}, "No restriction means that every country is allowed"),
        (prefixes("4470 block yes"), "write a prefix with its plus and country"),
        (prefixes("+44 explode yes"), "the action must be allow, guard, challenge or block"),
        ({"outbound_limits-ip-limit": "x"}, "Attempts from one IP address: “x” is not a number."),
        ({"name": ""}, "This field is required."),
        ({"inbound_countries": ["RU"]}, "RU is not one of the available choices"),
    ],
)
def test_what_cannot_be_saved_is_refused_in_words_and_changes_nothing(editor, policy, change, words):
    response = editor.post(address("change", policy), form(policy, **change))

    assert response.status_code == 200
    assert words in response.content.decode()
    assert fresh(policy).current_revision.number == 1


def test_a_stale_edit_is_told_keeps_its_entries_and_may_be_saved_again(editor, policy, now):
    mine = form(policy, inbound_countries=["BR", "US"])
    actions.edit_country_policy(
        policy=policy, inbound={"countries": ["MX"]}, acting_user=None, now=now, reason="a colleague"
    )

    told = " ".join(editor.post(address("change", policy), mine).content.decode().split())
    assert fresh(policy).current_revision.inbound["countries"] == ["MX"]
    editor.post(address("change", policy), mine | {"expected_revision": "2"})

    assert "Somebody else saved a newer revision meanwhile" in told
    assert "a colleague" in told
    assert 'name="expected_revision" value="2"' in told
    assert '<option value="BR" selected>' in told
    assert fresh(policy).current_revision.inbound["countries"] == ["BR", "US"]


def test_making_a_policy_needs_a_name_of_its_own(editor, policy):
    where = reverse("admin:policies_countrypolicy_add")

    taken = editor.post(where, form(name="Desk"))
    made = editor.post(where, form())

    assert "There is a country policy named “Desk” already." in taken.content.decode()
    assert made.status_code == 302
    assert CountryPolicy.objects.get(name="New desk").current_revision.outbound["countries"] == ["US"]


def test_going_back_makes_the_old_rules_the_newest_revision(editor, policy, now):
    actions.edit_country_policy(policy=policy, inbound={"countries": ["MX"]}, acting_user=None, now=now)

    response = editor.post(address("revert", policy), {"revision": "1"})

    assert "Back to revision 1, as revision 3." in messages_of(response)
    assert fresh(policy).current_revision.inbound["countries"] == ["CA", "US"]


def test_the_revisions_show_what_each_changed(editor, policy, now):
    actions.edit_country_policy(policy=policy, inbound={"countries": ["CA", "MX"]}, acting_user=None, now=now)

    html = editor.get(address("change", policy)).content.decode()

    assert '<del class="fc-gone">US</del>' in html
    assert '<ins class="fc-come">MX</ins>' in html


def test_the_default_policy_is_chosen_in_a_panel_of_the_settings(editor, policy):
    where = reverse("admin:policies_countrypolicy_default_panel")

    html = in_place(editor, where, policy=str(policy.pk)).content.decode()

    assert fresh(policy).is_default
    assert "Saved." in html


def test_a_viewer_reads_the_rules_and_cannot_post(in_workspace, policy):
    client = signed_in(in_workspace, Role.VIEWER)

    page = client.get(address("change", policy))
    posts = [
        client.post(address("change", policy), form(policy, name="Mine")),
        client.post(address("revert", policy), {"revision": "1"}),
        client.post(address("make_default", policy)),
        client.post(reverse("admin:policies_countrypolicy_default_panel"), {"policy": str(policy.pk)}),
        client.post(reverse("admin:policies_countrypolicy_add"), form()),
    ]

    assert "Canada" in page.content.decode()
    assert [response.status_code for response in posts] == [403] * 5
    assert (fresh(policy).name, fresh(policy).is_default) == ("Desk", False)


def test_another_workspaces_policy_does_not_exist(in_workspace):
    other = factories.make_workspace()
    policy = factories.make_policy(other)
    client = signed_in(in_workspace)

    answers = [
        client.get(address("change", policy)),
        client.post(address("revert", policy), {"revision": "1"}),
        client.post(address("make_default", policy)),
        client.post(reverse("admin:policies_countrypolicy_default_panel"), {"policy": str(policy.pk)}),
    ]

    assert [response.status_code for response in answers] == [404] * 4
    with scoped(other.pk):
        assert not fresh(policy).is_default


def test_the_list_links_to_the_numbers_that_follow(editor, in_workspace, policy):
    factories.make_phone_number(in_workspace, policy=policy)

    html = editor.get(reverse("admin:policies_countrypolicy_changelist")).content.decode()

    assert f"policy__id__exact={policy.pk}" in html
    numbers = editor.get(reverse("admin:policies_phonenumber_changelist"), {"policy__id__exact": policy.pk})
    assert "415-555-0100" in numbers.content.decode()
