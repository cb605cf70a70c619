"""Four eyes: what widens into an exposure tier waits, another person carries it out, and no verb forgets to ask."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from accounts import keys, workspaces
from accounts.models import ApiToken, AuditEntry, PublicKey, Workspace
from accounts.roles import Role
from accounts.scoping import scoped
from accounts.tokens import find_token
from accounts.workspaces import taking_turns
from policies import actions, answering, approvals, exposure, holds, lists, opens, widening
from policies.models import CountryPolicy, Open, PhoneNumber, PolicyRevision, ProposedChange, SyncTarget
from policies.widening import NeedsApproval, Wish
from tests.factories import make_member, make_phone_number, make_policy, make_token, rules

pytestmark = pytest.mark.django_db
State = ProposedChange.State


@pytest.fixture(autouse=True)
def _nothing_kept():
    yield
    exposure.forget()


@pytest.fixture
def careful(workspace):
    """A workspace that wants a second person from tier T2 on; the test works inside it."""
    make_policy(workspace, name="Wide", outbound=["US", "NG"])
    make_policy(workspace, name="Narrow")
    Workspace.objects.filter(pk=workspace.pk).update(approval_tier="T2")
    with scoped(workspace.pk):
        yield Workspace.objects.get(pk=workspace.pk)


def policy(name="Narrow"):
    return CountryPolicy.objects.select_related("current_revision").get(name=name)


def outbound(name="Narrow"):
    return policy(name).current_revision.outbound["countries"]


def widen(who, now, countries=("US", "CA", "NG"), **more):
    return actions.edit_country_policy(
        policy=policy(), outbound={"countries": list(countries)}, acting_user=who, now=now, **more
    )


def asked(verb, *arguments, **given):
    """The proposal that the verb asked for."""
    with pytest.raises(NeedsApproval) as caught:
        verb(*arguments, **given)
    return approvals.propose(caught.value)


def test_a_widening_changes_nothing_until_another_person_agrees(careful, now):
    anna, ben = make_member(careful), make_member(careful, Role.POLICY_EDITOR)
    number = make_phone_number(careful, policy=policy())
    revisions, entries = PolicyRevision.objects.count(), AuditEntry.objects.count()

    with pytest.raises(NeedsApproval) as caught:
        widen(anna, now, reason="A customer in Lagos")

    assert outbound() == ["CA", "US"]
    assert (PolicyRevision.objects.count(), AuditEntry.objects.count()) == (revisions, entries)
    assert SyncTarget.objects.get(phone_number=number).desired_generation == 1
    row = approvals.propose(caught.value)
    assert (row.state, row.proposed_by, row.reason) == (State.AWAITING, anna, "A customer in Lagos")
    assert row.expires_at == now + timedelta(hours=24)
    (part,) = row.difference["parts"]
    assert (part["direction"], part["countries"]) == ("outbound", [{"code": "NG", "tier": "T2"}])
    assert (part["before"], part["after"]) == (["CA", "US"], ["CA", "NG", "US"])

    approvals.approve(proposal=row, acting_user=ben, now=now, answer="Fine")

    assert outbound() == ["CA", "NG", "US"]
    assert SyncTarget.objects.get(phone_number=number).desired_generation == 2
    row.refresh_from_db()
    assert (row.state, row.decided_by, row.answer) == (State.APPROVED, ben, "Fine")
    assert AuditEntry.objects.filter(action="proposed_change.approved", actor_id=ben.pk).exists()


def test_tells_what_could_be_burnt_before_and_after(careful, now):
    make_phone_number(careful, policy=policy())
    make_token(careful)

    row = asked(widen, make_member(careful), now)

    before, after = row.exposure["before_usd_per_hour"], row.exposure["after_usd_per_hour"]
    assert 0 < before < after
    assert row.exposure["tiers"] == {"NG": "T2"}
    # What is not known yet may cost 25 a day in each country; UponAI alone would let 20 x 60 minutes of 0.30 through.
    assert row.exposure["by_tier_usd_per_hour"] == {"T2": [0.0, 25.0]}
    assert row.exposure["without_gate_usd_per_hour"] == [156.0, 360.0]


@pytest.mark.parametrize(
    ("tier", "country", "waits"),
    [
        ("T1", "NG", False),
        ("T1", "SO", True),
        ("T2", "SO", True),
        ("T2", "DE", False),
        ("T3", "DE", True),
        ("", "SO", 0),
    ],
)
def test_asks_from_the_chosen_tier_on(careful, now, tier, country, waits):
    Workspace.objects.filter(pk=careful.pk).update(approval_tier=tier)

    if waits:
        asked(widen, None, now, ["US", "CA", country])
    else:
        widen(None, now, ["US", "CA", country])


def test_narrowing_is_one_person_and_at_once(careful, now):
    widen(None, now, ["US"])
    actions.assign_country_policy(
        phone_number=make_phone_number(careful, outbound=["US"], policy=policy()),
        policy=policy(),
        acting_user=None,
        now=now,
    )
    until = now + timedelta(hours=1)
    hold = holds.impose(
        workspace_id=careful.pk, scope="workspace", value="", reason="r", expires_at=until, acting_user=None, now=now
    )
    holds.lift(hold=hold, acting_user=None, now=now)
    lists.trust(workspace_id=careful.pk, scope="peer", value="+2348031234567", reason="r", acting_user=None, now=now)

    assert outbound() == ["US"]
    assert not ProposedChange.objects.exists()


def test_every_verb_that_opens_something_asks(careful, now):
    who = {"acting_user": None, "now": now}
    number = make_phone_number(careful, policy=policy())
    with widening.approved():
        widen(None, now)
        widen(None, now, ["US"])
    sure = {"confirm_unrestricted": True, "reason": "r"}

    for wish in (
        asked(actions.revert_country_policy, policy=policy(), revision_number=2, **who),
        asked(actions.assign_country_policy, phone_number=number, policy=policy("Wide"), **who),
        asked(actions.make_default, policy=policy("Wide"), **who),
        asked(actions.edit_phone_number, phone_number=number, inbound_countries=None, **sure, **who),
        asked(actions.edit_phone_number, phone_number=number, outbound_countries=["US", "NG"], **who),
        asked(
            actions.create_country_policy,
            workspace_id=careful.pk,
            name="New",
            inbound=rules(["US"]),
            outbound=rules(["NG"]),
            **who,
        ),
        asked(actions.edit_country_policy, policy=policy(), outbound={"class_rules": {"premium_rate": "allow"}}, **who),
        asked(answering.edit_answering, phone_number=number, mode="observing", **who),
        asked(
            opens.open_temporarily,
            workspace_id=careful.pk,
            scope="country",
            value="NG",
            reason="r",
            expires_at=now + timedelta(hours=1),
            **who,
        ),
    ):
        approver = make_member(careful)
        if wish.verb in ("revert_country_policy", "open_temporarily", "create_country_policy", "make_default"):
            approvals.approve(proposal=wish, acting_user=approver, now=now)
            assert wish.verb in approvals.VERBS

    assert Open.objects.get().value == "NG"
    assert outbound("New") == ["NG"]
    assert policy("Wide").is_default


@pytest.mark.parametrize("prefix", ["+1900", "+19002345678"])
def test_costly_numbers_at_home_are_opened_by_no_prefix_or_number_without_asking(careful, now, prefix):
    anna = make_member(careful)
    who = {"acting_user": anna, "now": now}
    allowing = {"prefix_rules": [{"prefix": prefix, "action": "allow"}]}
    scope = "peer" if len(prefix) > 8 else "prefix"
    end = {"expires_at": now + timedelta(hours=1), "reason": "A test", "workspace_id": careful.pk}

    rule = asked(actions.edit_country_policy, policy=policy(), outbound=allowing, **who)
    opened = asked(opens.open_temporarily, scope=scope, value=prefix, direction="outbound", **end, **who)

    assert "premium rate numbers" in str(rule.difference)
    assert "premium rate numbers" in str(opened.difference)
    usual = {"prefix_rules": [{"prefix": "+1415555", "action": "allow"}]}
    actions.edit_country_policy(policy=policy(), outbound=usual, **who)
    opens.open_temporarily(scope="prefix", value="+1415555", direction="outbound", **end, **who)
    calling_here = {**end, "direction": "inbound"}
    opens.open_temporarily(scope=scope, value=prefix, **calling_here, **who)


def test_another_home_country_asks_for_all_of_the_settings_it_came_with(careful, now):
    anna, ben = make_member(careful), make_member(careful)
    wanted = {"home_country": "NG", "name": "Lagos", "agent_minute_price": Decimal("0.25")}

    row = asked(workspaces.change_settings, workspace=careful, acting_user=anna, now=now, **wanted)

    assert str(Workspace.objects.get(pk=careful.pk).home_country) == "US"
    approvals.approve(proposal=row, acting_user=ben, now=now)
    stored = Workspace.objects.get(pk=careful.pk)
    assert (str(stored.home_country), stored.name, stored.agent_minute_price) == ("NG", "Lagos", Decimal("0.25"))
    stale = asked(workspaces.change_settings, workspace=stored, acting_user=anna, now=now, approval_tier="")
    workspaces.change_settings(workspace=stored, acting_user=ben, now=now, approval_tier="T3")
    assert approvals.settle(now=now) == 1
    stale.refresh_from_db()
    assert stale.state == State.STALE


def test_a_key_that_is_only_observed_waits_and_no_secret_is_kept_meanwhile(careful, now):
    anna, ben = make_member(careful), make_member(careful)
    facts = {"name": "site", "domains": ["example.com"], "channels": ["phone_call"]}
    key = keys.mint_public_key(workspace=careful, acting_user=anna, now=now, **facts)
    captcha = {"captcha": "turnstile", "captcha_site_key": "site-key", "captcha_secret": "never keep this"}

    edited = asked(keys.edit_public_key, public_key=key, acting_user=anna, now=now, mode="observing", agent="agent_a")
    minted = asked(
        keys.mint_public_key, workspace=careful, acting_user=anna, now=now, **facts | {"name": "b", "mode": "observing"}
    )
    with pytest.raises(ValidationError) as refusal:
        keys.edit_public_key(public_key=key, acting_user=anna, now=now, mode="observing", **captcha)
    assert list(refusal.value.message_dict) == ["captcha_secret"]
    assert [(row.name, row.mode) for row in PublicKey.objects.all()] == [("site", "enforcing")]

    for row in (edited, minted):
        approvals.approve(proposal=row, acting_user=ben, now=now)
    found = {row.name: (row.mode, row.agent) for row in PublicKey.objects.all()}
    assert found == {"site": ("observing", "agent_a"), "b": ("observing", "")}
    keys.edit_public_key(public_key=key, acting_user=anna, now=now, mode="enforcing")
    overtaken = asked(
        keys.edit_public_key, public_key=key, acting_user=anna, now=now, mode="observing", agent="agent_b"
    )
    keys.edit_public_key(public_key=key, acting_user=ben, now=now, agent="agent_c")
    with pytest.raises(approvals.Conflict):
        approvals.approve(proposal=overtaken, acting_user=ben, now=now)


def test_what_is_refused_by_now_is_said_and_nothing_breaks(careful, now):
    anna, ben = make_member(careful), make_member(careful)
    facts = {"name": "site", "domains": ["example.com"], "channels": ["phone_call"]}
    row = asked(keys.mint_public_key, workspace=careful, acting_user=anna, now=now, mode="observing", **facts)
    keys.mint_public_key(workspace=careful, acting_user=anna, now=now, **facts)

    with pytest.raises(approvals.Conflict, match="already"):
        approvals.approve(proposal=row, acting_user=ben, now=now)


def test_nobody_agrees_with_themselves_nor_by_a_token_of_theirs(careful, now):
    anna = make_member(careful)
    token = find_token(make_token(careful), now=now)
    ApiToken.objects.filter(pk=token.pk).update(created_by=anna)
    token.refresh_from_db()
    row, by_token = asked(widen, anna, now), asked(widen, token, now, ["SO"])

    for mine, who in ((row, anna), (row, token), (by_token, anna), (by_token, token)):
        with pytest.raises(approvals.NotEntitled):
            approvals.approve(proposal=mine, acting_user=who, now=now)
        with pytest.raises(approvals.NotEntitled):
            approvals.reject(proposal=mine, acting_user=who, now=now)

    assert outbound() == ["CA", "US"]
    assert approvals.who_could_approve(row, now=now) == []
    make_member(careful, Role.VIEWER)
    ben = make_member(careful)
    assert approvals.who_could_approve(row, now=now) == [str(ben)]
    with pytest.raises(approvals.NotEntitled):
        approvals.withdraw(proposal=row, acting_user=ben, now=now)
    assert approvals.withdraw(proposal=row, acting_user=anna, now=now).state == State.WITHDRAWN


def test_a_world_that_moved_makes_it_stale(careful, now):
    anna, ben = make_member(careful), make_member(careful)
    row = asked(widen, anna, now)
    widen(ben, now, ["US"])

    with pytest.raises(approvals.Conflict):
        approvals.approve(proposal=row, acting_user=ben, now=now)

    row.refresh_from_db()
    assert (row.state, outbound()) == (State.STALE, ["US"])


def test_the_sweep_ends_what_nobody_answered_and_what_was_overtaken(careful, now):
    anna, ben = make_member(careful), make_member(careful)
    first, again = asked(widen, anna, now), asked(widen, anna, now)
    assert first == again
    overtaken = asked(widen, ben, now, ["SO"])

    assert approvals.settle(now=now) == 0
    assert approvals.settle(now=now + timedelta(hours=24)) == 2
    with pytest.raises(approvals.Conflict):
        approvals.approve(proposal=first, acting_user=ben, now=now)
    later = asked(widen, anna, now)
    widen(ben, now, ["CA"])
    assert approvals.settle(now=now) == 1
    states = {row.pk: row.state for row in ProposedChange.objects.all()}
    assert states == {first.pk: State.EXPIRED, overtaken.pk: State.EXPIRED, later.pk: State.STALE}


def test_an_open_whose_time_went_by_is_not_opened(careful, now):
    until = now + timedelta(hours=1)
    given = {"workspace_id": careful.pk, "scope": "country", "value": "NG", "reason": "r", "expires_at": until}
    row = asked(opens.open_temporarily, acting_user=None, now=now, **given)

    with pytest.raises(approvals.Conflict, match="future"):
        approvals.approve(proposal=row, acting_user=make_member(careful), now=now + timedelta(hours=2))

    row.refresh_from_db()
    assert row.state == State.STALE
    assert not Open.objects.exists()


def test_what_is_done_together_is_one_proposal(careful, now):
    anna = make_member(careful)
    numbers = [make_phone_number(careful, f"+1415555010{n}", policy=policy()) for n in range(3)]

    def everything():
        wish = Wish("edit_country_policy", about="A whole file", arguments={"policy": policy().pk})
        with taking_turns(careful.pk), widening.together(wish, acting_user=anna, now=now):
            for number in numbers:
                actions.assign_country_policy(phone_number=number, policy=policy("Wide"), acting_user=anna, now=now)
            widen(anna, now, ["US", "SO"])

    row = asked(everything)

    assert set(PhoneNumber.objects.values_list("policy__name", flat=True)) == {"Narrow"}
    assert row.about == "A whole file"
    assert [part["count"] for part in row.difference["parts"]] == [3, 1]
    assert set(row.exposure["tiers"]) == {"NG", "SO"}
