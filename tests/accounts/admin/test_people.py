"""The pages of members, tokens, settings and the audit log; signing in; changing the workspace."""

import pytest
from django.urls import reverse

from accounts import leaks, tokens, workspaces
from accounts.models import ApiToken, AuditEntry, Membership, UponaiKey, User, Workspace
from accounts.roles import Role
from tests import factories
from tests.signing_in import messages_of, signed_in

MEMBERS = "admin:accounts_membership_"
TOKENS = "admin:accounts_apitoken_"


@pytest.fixture
def owner(in_workspace):
    return signed_in(in_workspace)


def settings_page(workspace):
    return reverse("admin:accounts_workspace_change", args=[workspace.pk])


SETTINGS = {
    "name": "Northwind",
    "home_country": "GB",
    "time_zone": "Europe/London",
    "agent_minute_price": "0.2",
    "carrier_prices": "lv 0.4\nGB 0.05",
    "new_numbers": "flagged",
    "requests_per_second": "10",
    "approval_tier": "",
    "approval_hours": "24",
    "digest_period": "weekly",
    "keep_events_days": "30",
    "keep_calls_days": "400",
}


# --- Signing in -----------------------------------------------------------------------------------


def test_a_member_signs_in_with_the_e_mail_address_however_it_is_written(client, in_workspace):
    factories.make_member(in_workspace, email="olive@example.com")
    where = reverse("admin:login")

    page = client.get(where).content.decode()
    response = client.post(where, {"username": " Olive@Example.COM ", "password": factories.PASSWORD})

    assert "E-mail address" in page
    assert response.status_code == 302
    assert client.get(reverse("admin:policies_phonenumber_changelist")).status_code == 200


def test_who_works_in_no_workspace_cannot_sign_in(client, db):
    factories.make_user("nobody@example.com")

    response = client.post(reverse("admin:login"), {"username": "nobody@example.com", "password": factories.PASSWORD})

    assert "or to no member of a workspace" in response.content.decode()


# --- Settings -------------------------------------------------------------------------------------


def test_the_settings_say_where_the_private_key_was_shown(owner, in_workspace):
    leaks.report_leak(
        key=UponaiKey.objects.get(),
        origin="https://<b>www.example.com",
        ip="203.0.113.7",
        path="/gate/create-chat",
        now=factories.moment(),
    )

    page = owner.get(settings_page(in_workspace)).content.decode()

    assert "has leaked" in page
    assert "https://&lt;b&gt;www.example.com" in page


def test_the_settings_are_saved_and_audited(owner, in_workspace):
    response = owner.post(settings_page(in_workspace), SETTINGS)

    workspace = Workspace.objects.get(pk=in_workspace.pk)
    assert response.status_code == 302
    assert (workspace.name, workspace.home_country.code, workspace.time_zone) == ("Northwind", "GB", "Europe/London")
    assert workspace.carrier_prices == {"LV": 0.4, "GB": 0.05}
    entry = AuditEntry.objects.order_by("-sequence").first()
    assert entry.action == "workspace.change_settings"
    assert entry.detail["after"]["name"] == "Northwind"
    assert workspace.snapshot_version > in_workspace.snapshot_version


def test_saving_settings_as_they_are_writes_nothing(owner, in_workspace):
    owner.post(settings_page(in_workspace), SETTINGS)
    entries = AuditEntry.objects.count()

    owner.post(settings_page(in_workspace), SETTINGS)

    assert AuditEntry.objects.count() == entries


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"carrier_prices": "Latvia 0.4"}, "write a country&#x27;s two letters and a price"),
        ({"carrier_prices": "LV cheap"}, "is not a price in US dollars"),
        ({"time_zone": "Mars/Olympus"}, "Mars/Olympus is not one of the available choices"),
        ({"agent_minute_price": "-1"}, "greater than or equal to 0"),
    ],
)
def test_a_bad_setting_is_refused_beside_its_field(owner, in_workspace, change, words):
    response = owner.post(settings_page(in_workspace), SETTINGS | change)

    assert words in response.content.decode()
    assert Workspace.objects.get(pk=in_workspace.pk).name == in_workspace.name


@pytest.mark.parametrize("role", [role for role in Role if role != Role.OWNER])
def test_only_owners_change_settings_and_see_the_webhook_addresses(in_workspace, role):
    client = signed_in(in_workspace, role)

    page = client.get(settings_page(in_workspace))
    posts = [
        client.post(settings_page(in_workspace), SETTINGS),
        client.post(reverse(TOKENS + "add"), {"name": "x", "scopes": ["*"]}),
        client.post(reverse(MEMBERS + "add"), {"email": "a@example.com", "role": "owner"}),
    ]

    assert page.status_code == 200
    assert in_workspace.endpoint not in page.content.decode()
    assert [response.status_code for response in posts] == [403] * 3


def test_another_workspaces_settings_do_not_exist(owner):
    other = factories.make_workspace()

    assert owner.get(settings_page(other)).status_code == 404
    assert owner.post(settings_page(other), SETTINGS).status_code == 404


def test_a_person_changes_between_their_workspaces_only(in_workspace, now):
    second, third = factories.make_workspace(), factories.make_workspace()
    client = signed_in(in_workspace)
    user = User.objects.get(pk=client.session["_auth_user_id"])
    workspaces.add_member(workspace=second, user=user, role=Role.OWNER, acting_user=None, now=now)
    enter = reverse("admin:accounts_workspace_enter")
    factories.make_phone_number(second, "+14155550177")

    refused = client.post(enter, {"workspace": third.slug})
    before = client.get(reverse("admin:policies_phonenumber_changelist")).content.decode()
    entered = client.post(enter, {"workspace": second.slug})
    after = client.get(reverse("admin:policies_phonenumber_changelist")).content.decode()

    assert (refused.status_code, entered.status_code) == (404, 302)
    assert "415-555-0177" not in before
    assert "415-555-0177" in after


# --- Members --------------------------------------------------------------------------------------


def test_an_owner_admits_somebody_who_can_sign_in_then(owner, client):
    fields = {"email": "new@example.com", "name": "Nia", "role": "analyst", "password": "amber-falcon-4821"}

    response = owner.post(reverse(MEMBERS + "add"), fields)

    assert response.status_code == 302
    assert client.login(username="new@example.com", password="amber-falcon-4821")
    assert Membership.objects.get(user__email="new@example.com").role == Role.ANALYST


def test_the_last_owner_stays_whatever_is_pressed(owner):
    row = Membership.objects.get()

    demoted = owner.post(reverse(MEMBERS + "change", args=[row.pk]), {"role": "viewer"})
    deleted = owner.post(reverse(MEMBERS + "delete", args=[row.pk]), {"post": "yes"})

    assert "This is the only owner." in demoted.content.decode()
    assert "This is the only owner." in messages_of(deleted)
    assert Membership.objects.get().role == Role.OWNER


def test_an_owner_lets_a_member_go(owner, in_workspace):
    factories.make_member(in_workspace, Role.VIEWER)
    row = Membership.objects.get(role=Role.VIEWER)

    owner.post(reverse(MEMBERS + "delete", args=[row.pk]), {"post": "yes"})

    assert not Membership.objects.filter(role=Role.VIEWER).exists()
    assert AuditEntry.objects.order_by("-sequence").first().action == "workspace.remove_member"


# --- Tokens ---------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_works(owner, now):
    response = owner.post(reverse(TOKENS + "add"), {"name": "CI", "scopes": ["phone-numbers:write"], "lifetime": "90"})

    html = response.content.decode()
    row = ApiToken.objects.get()
    text = html.split('data-copy="')[1].split('"')[0]
    assert tokens.find_token(text, now=now) == row
    assert 89 <= (row.expires_at - now).days <= 90
    assert "no-store" in response["Cache-Control"]
    for page in ("changelist", "change"):
        where = reverse(TOKENS + page, args=[row.pk] if page == "change" else [])
        assert text not in owner.get(where).content.decode()


def test_a_revoked_token_is_refused_from_then_on(owner, in_workspace, now):
    text = factories.make_token(in_workspace)
    row = ApiToken.objects.get()

    owner.post(reverse(TOKENS + "revoke", args=[row.pk]))

    assert tokens.find_token(text, now=now) is None
    assert AuditEntry.objects.order_by("-sequence").first().action == "token.revoke"


# --- Audit log ------------------------------------------------------------------------------------


def test_an_entry_is_shown_with_before_and_after_and_where_it_came_from(owner, in_workspace):
    owner.post(settings_page(in_workspace), SETTINGS)
    entry = AuditEntry.objects.order_by("-sequence").first()

    html = owner.get(reverse("admin:accounts_auditentry_change", args=[entry.pk])).content.decode()

    assert f'<del class="fc-gone">{in_workspace.name}</del>' in html
    assert '<ins class="fc-come">Northwind</ins>' in html
    assert "127.0.0.1" in html


def test_the_audit_log_can_be_searched_and_narrowed(owner, in_workspace):
    factories.make_policy(in_workspace, name="Desk")
    where = reverse("admin:accounts_auditentry_changelist")

    narrowed = owner.get(where, {"object_type__exact": "policies.countrypolicy"}).content.decode()
    found = owner.get(where, {"q": "Desk"}).content.decode()

    for html in (narrowed, found):
        assert "Country policy: create" in html
        assert "Workspace: create" not in html


@pytest.mark.parametrize("role", [Role.VIEWER, Role.KYC_REVIEWER])
def test_who_may_not_read_the_audit_log_does_not(in_workspace, role):
    client = signed_in(in_workspace, role)
    entry = AuditEntry.objects.first()

    assert client.get(reverse("admin:accounts_auditentry_changelist")).status_code == 403
    assert client.get(reverse("admin:accounts_auditentry_change", args=[entry.pk])).status_code == 403


def test_nobody_changes_the_audit_log(owner):
    entry = AuditEntry.objects.first()

    assert owner.get(reverse("admin:accounts_auditentry_add")).status_code == 403
    assert owner.post(reverse("admin:accounts_auditentry_delete", args=[entry.pk]), {"post": "yes"}).status_code == 403
    assert AuditEntry.objects.filter(pk=entry.pk).exists()
