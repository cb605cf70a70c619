"""The doors and the judgement together: captcha, KYC, limits, guard, end users, and a live store that is away."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import encryption, end_user_tokens, tokens
from accounts.models import ApiToken, PublicKey
from accounts.scoping import scoped
from accounts.workspaces import bump_snapshot
from policies import actions, holds
from policies.gate import captcha, line, outbound_judge, rebuild, recorder, snapshots, store
from policies.gate.outbound import dials
from policies.models import CountryPolicy, Decision, PhoneNumber
from tests import verifier as verifiers
from tests.accounts.kyc import cases
from tests.factories import moment
from tests.policies.gate.outbound.conftest import CALL, CHAT, DIAL, LONDON, PEER, SITE, SMS, WEB, calls, started

pytestmark = pytest.mark.django_db


def decisions(gate):
    recorder.drain(now=moment())
    with scoped(gate.workspace.pk):
        return list(Decision.objects.order_by("pk"))


def change_key(gate, key, **facts):
    with scoped(gate.workspace.pk):
        PublicKey.objects.filter(pk=key.pk).update(**facts)
    snapshots.forget()


def approve(gate, subject, *, level=1, lasts=timedelta(days=1)):
    with scoped(gate.workspace.pk):
        cases.quickly_approved(subject, moment(), level=level, lasts=lasts)
    snapshots.forget()


def user_token(gate, subject="ann", **more):
    text, _ = end_user_tokens.mint(workspace_id=gate.workspace.pk, subject=subject, now=moment(), **more)
    return {"X-End-User-Token": text}


def test_records_every_attempt_once_with_who_asked(gate, uponai):
    key = gate.key()
    gate.post(CALL, DIAL | {"to_number": LONDON}, X_End_User_Id="ann", X_End_User_IP="198.51.100.9")
    gate.page(CALL, key, {"to_number": PEER})

    blocked, allowed = decisions(gate)

    assert (blocked.verdict, blocked.reason, blocked.peer) == ("block", "country_not_allowed", LONDON)
    assert (blocked.ip, blocked.subject, blocked.credential[:6]) == ("198.51.100.9", "ann", "token:")
    assert (allowed.verdict, allowed.public_key, allowed.origin) == ("allow", key.key, SITE)
    assert (allowed.ip, allowed.credential) == ("203.0.113.7", f"key:{key.pk}")
    assert allowed.decision_id == gate.dials()[0].decision_id
    assert allowed.trace[0]["check"] == "door"


def test_asks_the_database_nothing_to_refuse_when_warm(gate, uponai):
    key = gate.key()
    gate.page(CALL, key, {"to_number": LONDON})

    with CaptureQueriesContext(connection) as queries:
        assert gate.page(CALL, key, {"to_number": LONDON}).status_code == 403
        assert gate.post(CALL, b"not json").status_code == 422
    gate.post(CALL, DIAL | {"to_number": LONDON})
    with CaptureQueriesContext(connection) as more:
        assert gate.post(CALL, DIAL | {"to_number": LONDON}).status_code == 403

    assert [query["sql"] for query in queries] == []
    assert [query["sql"] for query in more] == []


# --- Captcha ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def verifier(settings):
    with verifiers.running() as running:
        settings.CAPTCHA_VERIFY_URLS = dict.fromkeys(captcha.KINDS, running.url)
        yield running
    captcha.forget()


@pytest.fixture
def guarded_key(gate):
    key = gate.key()
    sealed = encryption.seal(
        workspace_id=gate.workspace.pk, model="publickey", row=key.pk, field="captcha_secret", secret=verifiers.SECRET
    )
    change_key(gate, key, captcha="recaptcha_v3", captcha_secret=sealed)
    return key


def test_asks_for_a_captcha_and_takes_it_once(gate, uponai, guarded_key, verifier):
    token = verifier.token()
    wanted = {"to_number": PEER}

    without = gate.page(CALL, guarded_key, wanted)
    with_it = gate.page(CALL, guarded_key, wanted | {"recaptcha_token": token})
    replayed = gate.page(CALL, guarded_key, wanted, **{"X-Captcha-Token": token})
    wrong = gate.page(CALL, guarded_key, wanted, **{"X-Captcha-Token": verifier.token(hostname="evil.example")})

    assert [response.status_code for response in (without, with_it, replayed, wrong)] == [403, 201, 403, 403]
    assert {response.json()["code"] for response in (without, replayed, wrong)} == {"challenge_captcha"}
    assert len(calls(uponai)) == 1


def test_a_request_that_comes_again_needs_no_second_captcha(gate, uponai, guarded_key, verifier):
    wanted = {"to_number": PEER, "recaptcha_token": verifier.token()}

    first = gate.page(CALL, guarded_key, wanted, Idempotency_Key="k1")
    again = gate.page(CALL, guarded_key, wanted, Idempotency_Key="k1")
    with_another = gate.page(CALL, guarded_key, wanted | {"recaptcha_token": verifier.token()}, Idempotency_Key="k1")

    assert (first.status_code, again.content, with_another.content) == (201, first.content, first.content)
    assert len(verifier.asked) == 1


def test_counts_an_address_once_although_it_is_looked_at_twice(gate, uponai, guarded_key, verifier):
    """Before the captcha is verified, and when all is counted."""
    change_key(gate, guarded_key, limits={"ip": {"limit": 2, "window": 600}})

    answers = [gate.page(CALL, guarded_key, {"to_number": PEER, "recaptcha_token": verifier.token()}) for _ in range(3)]

    assert [response.status_code for response in answers] == [201, 201, 429]
    assert len(verifier.asked) == 2


def test_a_captcha_that_a_backend_sends_along_is_none(gate, uponai):
    with scoped(gate.workspace.pk):
        policy = CountryPolicy.objects.get()
        rules = policy.current_revision.outbound | {"captcha": True}
        actions.edit_country_policy(policy=policy, outbound=rules, acting_user=None, now=moment(), reason="a test")
    snapshots.forget()

    response = gate.post(CALL, DIAL | {"recaptcha_token": "made-up"})

    assert (response.status_code, response.json()["code"]) == (403, "captcha_required")
    assert gate.dials() == []


def test_dials_nobody_while_the_verifier_is_away(gate, uponai, guarded_key, verifier):
    verifier.behaviour = "500"

    response = gate.page(CALL, guarded_key, {"to_number": PEER, "recaptcha_token": verifier.token()})

    assert response.status_code == 403
    assert started(uponai) == []


def test_verifies_a_captcha_although_the_store_knows_a_version_that_nobody_can_load(
    gate, uponai, guarded_key, verifier
):
    store.publish_version(gate.workspace.pk, 999)

    response = gate.page(CALL, guarded_key, {"to_number": PEER, "recaptcha_token": verifier.token()})

    assert response.status_code == 201
    assert len(verifier.asked) == 1


def test_dials_nobody_whose_captcha_was_never_verified_when_one_is_asked_for_meanwhile(gate, uponai, monkeypatch):
    """Nothing asks for a captcha when it is judged; what the page sent along has been looked at by nobody."""
    key, write = gate.key(), dials.write_dial

    def ask_for_captcha(*arguments, **more):
        write(*arguments, **more)
        with scoped(gate.workspace.pk):
            PublicKey.objects.filter(pk=key.pk).update(captcha="recaptcha_v3")
            bump_snapshot(gate.workspace.pk)

    monkeypatch.setattr(dials, "write_dial", ask_for_captcha)

    response = gate.page(CALL, key, {"to_number": PEER, "recaptcha_token": "made-up"})

    assert (response.status_code, response.json()["code"]) == (403, "challenge_captcha")
    assert started(uponai) == []


# --- KYC and end users -----------------------------------------------------------------------------------------------


def test_lets_a_page_speak_for_the_person_whom_a_backend_vouched_for(gate, uponai):
    key = gate.key()
    change_key(gate, key, kyc_level=1)
    approve(gate, "ann")
    wanted = {"to_number": PEER}

    assert gate.page(CALL, key, wanted).json()["code"] == "challenge_kyc"
    assert gate.page(CALL, key, wanted, **user_token(gate, "bob")).json()["code"] == "challenge_kyc"
    assert gate.page(CALL, key, wanted, **user_token(gate, "ann")).status_code == 201
    assert gate.dials()[0].subject == "ann"


def test_refuses_whose_approval_ends_between_the_decision_and_uponai(gate, uponai, monkeypatch):
    from policies.gate.outbound import dialling, dials

    key = gate.key()
    change_key(gate, key, kyc_level=1)
    approve(gate, "ann", lasts=timedelta(minutes=1))
    write = dials.write_dial

    class Later:
        now = staticmethod(lambda: moment() + timedelta(minutes=1))

    def wait_first(*arguments, **more):
        write(*arguments, **more)
        monkeypatch.setattr(dialling, "timezone", Later)
        monkeypatch.setattr(dialling, "LATEST", timedelta(hours=1))

    monkeypatch.setattr(dials, "write_dial", wait_first)

    response = gate.page(CALL, key, {"to_number": PEER}, **user_token(gate, "ann"))

    assert (response.status_code, response.json()["code"]) == (403, "challenge_kyc")
    assert started(uponai) == []
    assert gate.dials()[0].state == "never"


def test_an_end_users_token_may_be_for_one_number_only(gate, uponai):
    key, bound = gate.key(), user_token(gate, destination=PEER)

    assert gate.page(CALL, key, {"to_number": "+14155550143"}, **bound).status_code == 403
    assert gate.page(WEB, key, {}, **bound).status_code == 403
    assert gate.page(CALL, key, {"to_number": "nonsense"}, **bound).status_code == 403
    assert started(uponai) == []
    assert gate.page(CALL, key, {"to_number": "+1 (415) 555-0142"}, **bound).status_code == 201
    assert gate.page(SMS, key, {"to_number": PEER}, **bound).status_code == 200


@pytest.mark.parametrize("token", ["", "eu_", "nonsense", "eu_" + "x" * 2000])
def test_says_what_is_wrong_with_an_end_users_token(gate, uponai, token):
    response = gate.page(CALL, gate.key(), {"to_number": PEER}, **{"X-End-User-Token": token})

    assert (response.status_code, response.json()["message"].split(":")[0]) == (422, "X-End-User-Token")


def test_an_end_users_token_is_of_one_workspace_and_ends(gate, uponai):
    other, _ = end_user_tokens.mint(workspace_id=gate.workspace.pk + 1, subject="ann", now=moment())
    over, _ = end_user_tokens.mint(workspace_id=gate.workspace.pk, subject="ann", now=moment() - timedelta(hours=1))

    for token in (other, over):
        response = gate.page(CALL, gate.key(), {"to_number": PEER}, **{"X-End-User-Token": token})
        assert response.status_code == 422
    assert started(uponai) == []


# --- Limits, guard, observing ----------------------------------------------------------------------------------------


def test_limits_the_pair_of_address_and_destination(gate, uponai):
    key = gate.key()
    answers = [gate.page(SMS, key, {"to_number": PEER}) for _ in range(5)]

    assert [response.status_code for response in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].json()["code"] == "try_later"
    assert 0 < int(answers[-1]["Retry-After"]) <= 600
    assert answers[-1]["x-should-retry"] == "false"
    assert gate.page(SMS, key, {"to_number": "+14155550143"}).status_code == 200
    assert gate.page(SMS, key, {"to_number": PEER}, ip="203.0.113.99").status_code == 200


def test_a_call_counts_as_running_no_longer_than_it_may_last(gate, uponai):
    assert gate.page(CALL, gate.key(), {"to_number": PEER}).status_code == 201

    (running,) = store.connection().keys("*:count:running_key:*")
    ((_, ends_at),) = store.connection().zrange(running, 0, -1, withscores=True)
    assert ends_at <= (moment().timestamp() + 180) * 1000


def test_tells_a_backend_which_limit_it_was(gate, uponai):
    answers = [gate.post(SMS, DIAL, X_End_User_IP="198.51.100.9") for _ in range(4)]

    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "rate_limited")
    assert "Retry-After" in answers[-1]


def test_a_guarded_call_is_short_and_of_the_guarded_agent(gate, uponai):
    with scoped(gate.workspace.pk):
        policy = CountryPolicy.objects.get()
        rules = policy.current_revision.outbound | {"prefix_rules": [{"prefix": "+1415", "action": "guard"}]}
        actions.edit_country_policy(policy=policy, outbound=rules, acting_user=None, now=moment(), reason="a test")
        PhoneNumber.objects.update(guarded_agent="agent_guarded")
    snapshots.forget()

    assert gate.post(CALL, DIAL | {"override_agent_id": "agent_mine", "override_agent_version": 3}).status_code == 201

    (call,) = calls(uponai)
    assert call.agent_id == "agent_guarded"
    sent = started(uponai)[0]["body"]
    assert sent["agent_override"]["agent"]["max_call_duration_ms"] <= 60_000
    assert "override_agent_version" not in sent


def test_a_page_that_is_only_observed_gets_its_call_and_is_counted_as_would_be_blocked(gate, uponai):
    key = gate.key()
    change_key(gate, key, mode="observing")

    assert gate.page(CALL, key, {"to_number": LONDON}).status_code == 201
    assert gate.page(CALL, key, {"to_number": "+5351234567"}).status_code == 403
    assert decisions(gate)[0].would_be == "block"


def test_a_hold_is_obeyed_where_all_else_is_only_observed(gate, uponai):
    key, now = gate.key(), moment()
    change_key(gate, key, mode="observing")
    holds.impose(
        workspace_id=gate.workspace.pk,
        scope="workspace",
        value=None,
        reason="attack",
        expires_at=now + timedelta(hours=1),
        acting_user=None,
        now=now,
    )
    gate.publish()

    assert gate.page(CALL, key, {"to_number": PEER}).status_code == 403
    assert started(uponai) == []


# --- The live store is away ------------------------------------------------------------------------------------------


def test_a_token_that_was_revoked_opens_nothing_while_the_store_is_away(gate, uponai, nobody_listens, monkeypatch):
    assert gate.post(CALL, DIAL).status_code == 201
    monkeypatch.setattr(snapshots, "POLL_SECONDS", 0.0)
    with scoped(gate.workspace.pk):
        tokens.revoke_token(token=ApiToken.objects.get(), acting_user=None, now=moment())

    assert gate.post(CALL, DIAL | {"to_number": "+14155550143"}).status_code == 401
    assert len(calls(uponai)) == 1


def test_refuses_in_words_while_the_store_comes_and_goes(gate, uponai, monkeypatch):
    """Each time it was caught up with, another thread loses it again."""
    catch_up = rebuild.rebuild

    def lose_it_again(*arguments, **more):
        catch_up(*arguments, **more)
        line.note_trouble()

    monkeypatch.setattr(rebuild, "rebuild", lose_it_again)

    response = gate.post(CALL, DIAL)

    assert (response.status_code, response.json()["code"]) == (503, "degraded")
    assert "cannot count attempts now" in response.json()["message"]
    assert started(uponai) == []


def test_counts_in_the_store_what_was_let_through_while_it_could_not_write(gate, uponai):
    key = gate.key()
    assert gate.page(SMS, key, {"to_number": "+14155550143"}).status_code == 200
    store.connection().config_set("min-replicas-to-write", 1)
    try:
        meanwhile = gate.page(SMS, key, {"to_number": PEER})
    finally:
        store.connection().config_set("min-replicas-to-write", 0)
    afterwards = [gate.page(SMS, key, {"to_number": PEER}).status_code for _ in range(3)]

    assert meanwhile.status_code == 200
    assert afterwards == [200, 200, 429]  # three in ten minutes


def test_counts_by_the_rows_while_the_store_is_away(gate, uponai, nobody_listens):
    key = gate.key()

    answers = [gate.page(SMS, key, {"to_number": PEER}) for _ in range(4)]

    assert [response.status_code for response in answers] == [200, 429, 429, 429]
    (dial,) = gate.dials()
    assert dial.counted_by_database
    assert dial.state == "done"
    with scoped(gate.workspace.pk):
        assert set(Decision.objects.values_list("verdict", "degraded")) == {("allow", True), ("block", True)}


def test_judges_by_no_snapshot_that_is_too_old(gate, uponai, nobody_listens, monkeypatch):
    assert gate.post(CALL, DIAL).status_code == 201
    monkeypatch.setattr(outbound_judge, "OLDEST_SNAPSHOT_SECONDS", 0)

    assert gate.post(CALL, DIAL).status_code == 503
    assert len(calls(uponai)) == 1


def test_the_same_key_is_the_same_request_while_the_store_is_away(gate, uponai, nobody_listens):
    first = gate.post(CALL, DIAL, Idempotency_Key="k1")
    again = gate.post(CALL, DIAL, Idempotency_Key="k1")

    assert (first.status_code, again.content) == (201, first.content)
    assert len(calls(uponai)) == 1


def test_a_chat_waits_while_the_store_is_away(gate, uponai, nobody_listens):
    chat = gate.post(CHAT, {"agent_id": "agent_chat"})

    response = gate.post("/gate/create-chat-completion", {"chat_id": chat.json()["chat_id"], "content": "Hi"})

    assert (chat.status_code, response.status_code, response.json()["code"]) == (201, 503, "degraded")
