"""The captcha of a gate key at the real doors, asked about over real HTTP: each bad token gets the written refusal."""

import pytest

from accounts import end_user_tokens
from accounts.scoping import scoped
from policies.gate import recorder
from policies.models import Decision
from tests.accounts.kyc import cases
from tests.factories import make_phone_number, make_workspace, moment
from tests.policies.gate.judging.conftest import CAPTCHA, gate, sandbox_of_gate, uponai, verifier
from tests.policies.gate.outbound.conftest import CALL, CHAT, OURS, PEER, SMS, Gate, started

__all__ = ["gate", "sandbox_of_gate", "uponai", "verifier"]

pytestmark = pytest.mark.django_db

TO = {"to_number": PEER}


@pytest.fixture
def key(gate):
    return gate.key(**CAPTCHA)


def _call(gate, key, token, **more):
    return gate.page(CALL, key, TO, X_Captcha_Token=token, **more)


def _refused(response, code="challenge_captcha"):
    body = response.json()
    assert (response.status_code, body["status"], body["code"]) == (403, "error", code)
    assert response["x-should-retry"] == "false"
    assert body["decision_id"] == response["X-Decision-Id"]


def _last_captcha_line(gate):
    recorder.drain(now=moment())
    with scoped(gate.workspace.pk):
        decision = Decision.objects.order_by("-pk").first()
    (line,) = (line for line in decision.trace if line["check"] == "captcha")
    return decision.reason, line["value"]


def test_lets_a_good_token_through(gate, key, uponai, verifier):
    response = _call(gate, key, verifier.token())

    assert response.status_code == 201
    assert len(started(uponai)) == 1


def test_takes_the_token_from_the_body_too(gate, key, uponai, verifier):
    assert gate.page(CALL, key, TO | {"recaptcha_token": verifier.token()}).status_code == 201


def test_asks_for_a_token_where_none_came(gate, key, uponai, verifier):
    _refused(gate.page(CALL, key, TO))
    assert verifier.asked == []
    assert started(uponai) == []


@pytest.mark.parametrize(
    "token",
    [
        pytest.param({"secret": "secret_of_another_site"}, id="of another key"),
        pytest.param({"hostname": "evil.com"}, id="from another page"),
        pytest.param({"action": "chat"}, id="made for a chat"),
        pytest.param({"score": 0.2}, id="of a robot"),
        pytest.param({"age_seconds": 130}, id="too old"),
    ],
)
def test_refuses_a_token_that_is_not_for_this(gate, key, uponai, verifier, token):
    _refused(_call(gate, key, verifier.token(**token)))

    assert len(verifier.asked) == 1
    assert started(uponai) == []
    assert _last_captcha_line(gate)[0] == "captcha_failed"


def test_refuses_a_token_that_was_used(gate, key, uponai, verifier):
    token = verifier.token()
    assert _call(gate, key, token).status_code == 201

    _refused(_call(gate, key, token))

    assert len(verifier.asked) == 1
    assert len(started(uponai)) == 1


def test_refuses_a_token_of_another_workspace(gate, key, uponai, verifier):
    stranger = Gate(make_workspace())
    make_phone_number(stranger.workspace, OURS)
    theirs = stranger.key(**CAPTCHA | {"captcha_secret": "secret_of_theirs"})

    _refused(_call(stranger, theirs, verifier.token()))

    assert verifier.asked[0]["secret"] == "secret_of_theirs"
    assert started(uponai) == []


@pytest.mark.parametrize("door", [CALL, SMS])
@pytest.mark.parametrize("illness", ["fails", "garbage", "cuts"])
def test_starts_no_call_or_message_while_the_verifier_is_down(gate, key, uponai, verifier, door, illness):
    verifier.behaviour = illness

    response = gate.page(door, key, TO, X_Captcha_Token=verifier.token(action="call" if door == CALL else "sms"))

    _refused(response, "try_later")
    assert started(uponai) == []
    assert _last_captcha_line(gate) == ("captcha_failed", "unreachable")


def test_opens_no_chat_to_strangers_while_the_verifier_is_down(gate, key, uponai, verifier):
    verifier.behaviour = "fails"

    response = gate.page(CHAT, key, X_Captcha_Token=verifier.token(action="chat"))

    _refused(response, "try_later")
    assert started(uponai) == []


def test_opens_a_chat_to_known_people_while_the_verifier_is_down(gate, key, uponai, verifier):
    verifier.behaviour = "fails"
    with scoped(gate.workspace.pk):
        cases.quickly_approved("user-1", moment())
    gate.publish()
    proof, _ = end_user_tokens.mint(workspace_id=gate.workspace.pk, subject="user-1", now=moment())
    shown = {"X_End_User_Token": proof}

    chat = gate.page(CHAT, key, X_Captcha_Token=verifier.token(action="chat"), **shown)
    call = _call(gate, key, verifier.token(), **shown)

    assert chat.status_code == 201
    _refused(call, "try_later")


def test_asks_nobody_about_an_attempt_that_is_lost_already(gate, key, uponai, verifier):
    _refused(gate.page(CALL, key, {"to_number": "+5351234567"}, X_Captcha_Token=verifier.token()), "blocked")

    assert verifier.asked == []


def test_tells_the_page_nothing_of_why(gate, key, uponai, verifier):
    answers = [_call(gate, key, verifier.token(**token)) for token in ({"score": 0.1}, {"hostname": "evil.com"})]

    assert len({(answer.json()["code"], answer.json()["message"]) for answer in answers}) == 1
