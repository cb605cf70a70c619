"""The page of a phone number: countries edited in place, refusals in words, rights, other workspaces."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from accounts.roles import Role
from accounts.scoping import scoped
from policies import actions
from policies.models import PhoneNumber, SyncTarget
from tests import factories
from tests.signing_in import in_place, messages_of, signed_in


def address(name: str, number: PhoneNumber) -> str:
    return reverse(f"admin:policies_phonenumber_{name}", args=[number.pk])


def fresh(number: PhoneNumber) -> PhoneNumber:
    return PhoneNumber.objects.select_related("policy__current_revision", "sync_target").get(pk=number.pk)


def inbound(number: PhoneNumber) -> list[str]:
    return fresh(number).policy.current_revision.inbound["countries"]


@pytest.fixture
def number(in_workspace):
    return factories.make_phone_number(in_workspace, inbound=["CA", "US"], outbound=["US"])


@pytest.fixture
def editor(in_workspace):
    return signed_in(in_workspace, Role.POLICY_EDITOR)


def add(client, number, typed, *, direction="inbound", version=None):
    version = actions.version_of(fresh(number)) if version is None else version
    return in_place(client, address("countries", number), direction=direction, add=typed, version=version)


def remove(client, number, code, *, direction="inbound"):
    version = actions.version_of(fresh(number))
    return in_place(client, address("countries", number), direction=direction, remove=code, version=version)


@pytest.mark.parametrize("typed", ["jm", "JM", "Jamaica", "jamaica", "Jamaica (JM)"])
def test_adding_a_country_makes_a_revision_an_audit_entry_and_a_due_row(editor, number, typed):
    response = add(editor, number, typed)

    assert response.status_code == 200
    assert inbound(number) == ["CA", "JM", "US"]
    assert fresh(number).policy.current_revision.number == 2
    target = SyncTarget.objects.get(phone_number=number)
    assert (target.state, target.desired_generation) == ("pending", 2)
    assert target.due_at is not None
    entry = AuditEntry.objects.order_by("-sequence").first()
    assert (entry.action, entry.actor_id) == ("country_policy.edit", int(editor.session["_auth_user_id"]))


def test_the_answer_is_the_fresh_panel_that_asks_again_until_uponai_has_it(editor, number):
    html = add(editor, number, "Jamaica").content.decode()

    assert "Added Jamaica." in html
    assert 'data-state="pending"' in html
    assert 'hx-trigger="every 700ms"' in html
    assert "<html" not in html


def test_a_group_adds_all_of_its_countries(editor, number):
    add(editor, number, "European Union (27 countries)")

    assert len(inbound(number)) == 29


def test_removing_a_country_saves_at_once(editor, number):
    remove(editor, number, "CA")

    assert inbound(number) == ["US"]


def test_a_second_click_on_the_same_cross_changes_nothing_more(editor, number):
    version = actions.version_of(fresh(number))
    where = address("countries", number)
    for _ in range(2):
        last = in_place(editor, where, direction="inbound", remove="CA", version=version)

    assert inbound(number) == ["US"]
    assert fresh(number).policy.current_revision.number == 2
    assert "Canada is not on the list any more" in last.content.decode()


def test_the_last_country_is_not_removed_and_the_page_says_why(editor, number):
    html = remove(editor, number, "US", direction="outbound").content.decode()

    assert fresh(number).policy.current_revision.outbound["countries"] == ["US"]
    assert "UponAI reads an empty list as “every country”" in html


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("Russia", "no setting can open it"),
        ("Atlantis", "“Atlantis” is not a country"),
        ("UK", "United Kingdom is GB"),
        ("", "Write or choose a country first"),
    ],
)
def test_what_cannot_be_added_is_refused_in_words_and_stays_typed(editor, number, typed, words):
    html = add(editor, number, typed).content.decode()

    assert words in html
    assert inbound(number) == ["CA", "US"]
    assert not typed or f'value="{typed}"' in html


def test_an_edit_of_a_page_that_is_no_longer_true_is_told_and_can_be_repeated(editor, number):
    seen = actions.version_of(number)
    add(editor, number, "Mexico")

    html = add(editor, number, "Brazil", version=seen).content.decode()

    assert "Somebody else changed this number meanwhile" in html
    assert inbound(number) == ["CA", "MX", "US"]
    assert "Mexico" in html
    assert "Add Brazil now" in html
    assert f'value="{actions.version_of(fresh(number))}"' in html


def test_editing_a_number_that_shares_its_policy_says_so_before_and_after(editor, in_workspace, number):
    other = factories.make_phone_number(in_workspace, "+14155550101", policy=number.policy)
    before = editor.get(address("change", number)).content.decode()

    html = add(editor, number, "Jamaica").content.decode()

    assert "gives this number a policy of its own" in before
    assert "This number now follows a policy of its own" in html
    assert fresh(number).policy_id != other.policy_id
    assert inbound(other) == ["CA", "US"]


def test_every_country_needs_the_box_and_a_reason(editor, number):
    version = actions.version_of(number)
    where = address("countries", number)
    fields = {"direction": "inbound", "unrestricted": "yes", "version": version}

    unconfirmed = in_place(editor, where, **fields, reason="callers from anywhere")
    unexplained = in_place(editor, where, **fields, confirm="yes", reason="  ")
    assert inbound(number) == ["CA", "US"]
    in_place(editor, where, **fields, confirm="yes", reason="callers from anywhere")

    assert "tick the box and say why" in unconfirmed.content.decode()
    assert "tick the box and say why" in unexplained.content.decode()
    revision = fresh(number).policy.current_revision
    assert (revision.inbound["mode"], revision.reason) == ("unrestricted", "callers from anywhere")


def test_naming_a_country_where_every_one_is_allowed_makes_a_list_of_it(editor, in_workspace):
    number = factories.make_phone_number(in_workspace, "+14155550102", inbound=None)

    add(editor, number, "US, CA")

    assert fresh(number).policy.current_revision.inbound["mode"] == "list"
    assert inbound(number) == ["CA", "US"]


def test_without_javascript_the_form_redirects_with_the_same_words(editor, number):
    fields = {"direction": "inbound", "add": "Jamaica", "version": actions.version_of(number)}

    response = editor.post(address("countries", number), fields)

    assert response.status_code == 302
    assert response.url == address("change", number)
    assert "Added Jamaica." in messages_of(response)
    assert "JM" in inbound(number)


def test_the_nickname_is_saved_and_audited(editor, number):
    in_place(editor, address("nickname", number), nickname=" Reception ", version=actions.version_of(number))

    assert fresh(number).nickname == "Reception"
    assert AuditEntry.objects.order_by("-sequence").first().action == "phone_number.rename"


def test_a_number_can_follow_another_policy_and_is_due_then(editor, in_workspace, number):
    policy = factories.make_policy(in_workspace, inbound=["GB"], outbound=["GB"])

    in_place(editor, address("policy", number), policy=str(policy.pk), version=actions.version_of(number))

    assert fresh(number).policy == policy
    assert fresh(number).sync_target.state == "pending"


def test_another_workspaces_policy_cannot_be_followed(editor, number):
    foreign = factories.make_policy(factories.make_workspace())

    in_place(editor, address("policy", number), policy=str(foreign.pk), version=actions.version_of(number))

    assert fresh(number).policy_id == number.policy_id


def test_retry_makes_the_row_due_at_once(editor, number):
    SyncTarget.objects.filter(phone_number=number).update(state="failed", attempts=5, error="no", due_at=None)

    in_place(editor, address("retry", number))

    target = SyncTarget.objects.get(phone_number=number)
    assert (target.state, target.attempts, target.error) == ("pending", 0, "")
    assert target.due_at is not None


# --- What the page says ---------------------------------------------------------------------------


def test_the_sentence_says_what_is_wanted_and_that_uponai_has_it(editor, number, now):
    SyncTarget.objects.filter(phone_number=number).update(verified_at=now)

    html = editor.get(address("change", number)).content.decode()

    assert "May be called from 2 countries, may call 1 country." in html
    assert "UponAI has the same (checked" in html


def test_the_sentence_says_why_uponai_does_not_have_it(editor, number, now):
    SyncTarget.objects.filter(phone_number=number).update(
        state="pending", attempts=3, error="its last answer was 503.", due_at=now.replace(year=now.year + 1)
    )

    html = editor.get(address("change", number)).content.decode()

    assert "UponAI does not have this yet: its last answer was 503, next try" in html


def test_the_sync_state_is_sent_only_when_it_would_say_something_else(editor, number):
    first = editor.get(address("sync_state", number))
    seen = first.content.decode().split("?seen=")[1].split("&")[0]

    same = editor.get(address("sync_state", number), {"seen": seen})
    SyncTarget.objects.filter(phone_number=number).update(state="failed", error="no")
    changed = editor.get(address("sync_state", number), {"seen": seen})

    assert 'hx-trigger="every 5s"' in first.content.decode()
    assert (same.status_code, same.content) == (204, b"")
    assert changed.status_code == 200
    assert 'data-state="failed"' in changed.content.decode()
    assert changed["HX-Trigger"] == "sync-changed"


def test_a_page_of_a_number_that_was_changed_elsewhere_reads_all_of_itself_again(editor, number, now):
    page = editor.get(address("change", number)).content.decode()
    before = editor.get(address("sync_state", number), {"version": actions.version_of(number)})
    actions.edit_phone_number(phone_number=number, outbound_countries=["CA"], acting_user=None, now=now)
    after = editor.get(address("sync_state", number), {"version": actions.version_of(number)})

    assert f"&amp;version={actions.version_of(number)}" in page
    assert 'hx-trigger="number-changed from:body"' in page
    assert before.status_code == 200
    assert (after.status_code, after["HX-Trigger"]) == (204, "number-changed")


def test_a_part_asked_for_after_signing_out_reloads_the_page(client, number):
    response = client.get(address("sync_state", number), headers={"HX-Request": "true"})

    assert (response["HX-Refresh"], response.content) == ("true", b"")


def test_desired_applied_and_observed_stand_side_by_side_with_their_differences(editor, number):
    seen = {"inbound": ["CA", "US"], "outbound": ["LV", "US"]}
    SyncTarget.objects.filter(phone_number=number).update(applied={**seen, "outbound": ["US"]}, observed=seen)

    html = editor.get(address("sync_facts", number)).content.decode()

    assert html.count("differs</span>") == 1
    assert "Latvia, United States" in html


@pytest.mark.parametrize(("agents", "words"), [(["agent_1"], "Answered."), ([], "Dropped.")])
def test_the_page_says_what_happens_when_the_console_is_down(editor, in_workspace, agents, words):
    number = factories.make_phone_number(in_workspace, "+14155550103", inbound_agents=agents)

    assert words in editor.get(address("change", number)).content.decode()


def test_the_page_never_offers_a_sanctioned_country(editor, number):
    html = editor.get(address("change", number)).content.decode()

    assert "Latvia (LV)" in html
    assert "Cuba (CU)" not in html
    assert html.count("fc-chip-locked") == 7


# --- Who may --------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST, Role.KYC_REVIEWER, Role.SECOND_REVIEWER])
def test_who_may_only_look_sees_the_page_without_buttons_and_cannot_post(in_workspace, number, role):
    client = signed_in(in_workspace, role)

    page = client.get(address("change", number))
    posts = [
        add(client, number, "Jamaica"),
        in_place(client, address("nickname", number), nickname="x", version=actions.version_of(number)),
        in_place(client, address("policy", number), policy="1", version=actions.version_of(number)),
        in_place(client, address("retry", number)),
        client.post(reverse("admin:policies_uponaiconnection_import")),
    ]

    assert page.status_code == 200
    assert 'method="post"' not in page.content.decode().split('id="content"')[1]
    assert [response.status_code for response in posts] == [403] * 5
    assert inbound(number) == ["CA", "US"]


def test_another_workspaces_number_does_not_exist(in_workspace):
    other = factories.make_workspace()
    number = factories.make_phone_number(other, "+14155550104")
    client = signed_in(in_workspace)

    with scoped(other.pk):
        version = actions.version_of(number)
    answers = [
        client.get(address("change", number)),
        client.get(address("sync_state", number)),
        client.get(address("sync_facts", number)),
        in_place(client, address("countries", number), direction="inbound", add="JM", version=version),
        in_place(client, address("nickname", number), nickname="mine", version=version),
        in_place(client, address("retry", number)),
    ]

    assert [response.status_code for response in answers] == [404] * 6
    with scoped(other.pk):
        assert inbound(number) == ["CA", "US"]
        assert fresh(number).nickname == ""


def test_a_get_never_changes_anything(editor, number):
    response = editor.get(address("countries", number), {"direction": "inbound", "add": "JM"})

    assert response.status_code == 403
    assert inbound(number) == ["CA", "US"]


# --- The list -------------------------------------------------------------------------------------


def test_the_list_shows_numbers_as_people_write_them_and_finds_them_however_written(editor, in_workspace, number):
    factories.make_phone_number(in_workspace, "+442079460018", nickname="London")
    where = reverse("admin:policies_phonenumber_changelist")

    everything = editor.get(where).content.decode()
    by_digits = editor.get(where, {"q": "020 7946"}).content.decode()
    by_written = editor.get(where, {"q": "+44 20 7946 0018"}).content.decode()
    by_name = editor.get(where, {"q": "lond"}).content.decode()

    assert "+44 20 7946 0018" in everything
    assert "+1 415-555-0100" in everything
    for html in (by_digits, by_written, by_name):
        assert "London" in html
        assert "415-555-0100" not in html


def test_the_list_offers_neither_adding_nor_deleting(editor, number):
    assert editor.get(reverse("admin:policies_phonenumber_add")).status_code == 404
    assert editor.get(reverse("admin:policies_phonenumber_delete", args=[number.pk])).status_code == 403


def test_an_import_that_fails_says_why(in_workspace):
    response = signed_in(in_workspace).post(reverse("admin:policies_uponaiconnection_import"))

    assert response.status_code == 302
    assert messages_of(response).startswith("Nothing was imported.")


def test_one_switch_ends_international_calls_in_both_directions(editor, number):
    version = actions.version_of(fresh(number))

    html = in_place(editor, address("countries", number), home_only="yes", version=version).content.decode()

    rules = fresh(number).policy.current_revision
    assert (rules.inbound["countries"], rules.outbound["countries"], rules.number) == (["US"], ["US"], 2)
    assert "No international calls: only United States from now on, in and out." in html
    assert 'name="home_only"' not in html


def test_the_switch_on_a_stale_page_is_told_and_can_be_repeated(editor, number):
    html = in_place(editor, address("countries", number), home_only="yes", version="old").content.decode()

    assert fresh(number).policy.current_revision.number == 1
    assert "Somebody else changed this number meanwhile." in html
    assert "Switch it on now" in html


def test_a_list_says_what_people_take_for_a_part_of_a_country_and_adds_it(editor, number):
    page = " ".join(editor.get(address("change", number)).content.decode().split())

    assert "United States does not include Puerto Rico, Guam, American Samoa and 2 more." in page
    html = add(editor, number, "PR, GU, AS, MP, VI").content.decode()
    assert inbound(number) == ["AS", "CA", "GU", "MP", "PR", "US", "VI"]
    assert html.count("United States does not include Puerto Rico") == page.count("United States does not include") - 1
