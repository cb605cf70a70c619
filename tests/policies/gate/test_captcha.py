"""The captcha: what a verifier's answer is worth, and that an ill verifier holds up nobody."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from policies.engine.types import CaptchaAnswer
from policies.gate import breaker, captcha
from tests import verifier as verifiers
from tests.factories import moment

WORKSPACE = 1


@pytest.fixture(autouse=True)
def _well_breakers():
    yield
    captcha.forget()


@pytest.fixture
def verifier(settings):
    with verifiers.running() as running:
        settings.CAPTCHA_VERIFY_URLS = dict.fromkeys(captcha.KINDS, running.url)
        yield running


def _verify(token, kind="recaptcha_v3", **facts):
    return captcha.verify(
        kind,
        token,
        **{
            "secret": verifiers.SECRET,
            "ip": "203.0.113.7",
            "expected_actions": {"call", "phone_call"},
            "hostnames": {"www.example.com", "example.com"},
            "threshold": 0.5,
            "workspace_id": WORKSPACE,
            "now": moment(),
        }
        | facts,
    )


def test_accepts_a_good_token(verifier):
    token = verifier.token(score=0.5)

    answer = _verify(token)

    assert answer == CaptchaAnswer("recaptcha_v3", "", 0.5, "call", "www.example.com")
    assert answer.is_accepted
    assert verifier.asked == [{"secret": verifiers.SECRET, "response": token, "remoteip": "203.0.113.7"}]


def test_says_nothing_of_an_address_it_does_not_know(verifier):
    assert _verify(verifier.token(), ip=None).is_accepted
    assert "remoteip" not in verifier.asked[0]


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        pytest.param({"action": "phone_call"}, "", id="the channel's own name"),
        pytest.param({"hostname": "WWW.Example.com"}, "", id="host name in capitals"),
        pytest.param({"age_seconds": 110}, "", id="nearly two minutes old"),
        pytest.param({"age_seconds": 121}, "expired", id="older than two minutes"),
        pytest.param({"hostname": "www.example.com.evil.com"}, "wrong_hostname", id="a suffix trick"),
        pytest.param({"hostname": "evil.com"}, "wrong_hostname", id="another site"),
        pytest.param({"hostname": None}, "wrong_hostname", id="no site"),
        pytest.param({"hostname": 5}, "wrong_hostname", id="a site that is no text"),
        pytest.param({"action": "chat"}, "wrong_action", id="made for a chat"),
        pytest.param({"action": None}, "wrong_action", id="made for nothing"),
        pytest.param({"score": 0.49}, "low_score", id="low score"),
        pytest.param({"score": None}, "rejected", id="no score"),
        pytest.param({"score": True}, "rejected", id="true for a score"),
        pytest.param({"score": "0.9"}, "rejected", id="text for a score"),
        pytest.param({"score": 1e9}, "rejected", id="a score that cannot be"),
        pytest.param({"secret": "secret_of_another_site"}, "rejected", id="another key's"),
    ],
)
def test_looks_at_all_that_an_answer_says(verifier, token, problem):
    assert _verify(verifier.token(**token)).problem == problem


def test_looks_at_the_age_itself(verifier):
    token = verifier.token()

    assert _verify(token, now=moment() + timedelta(seconds=125)).problem == "expired"


def test_accepts_a_token_once(verifier):
    token = verifier.token()

    assert [_verify(token).problem for _ in range(3)] == ["", "replayed", "replayed"]
    assert len(verifier.asked) == 1


def test_accepts_a_token_once_without_the_live_store_as_well(verifier, nobody_listens):
    token = verifier.token()

    assert [_verify(token).problem for _ in range(2)] == ["", "expired"]
    assert len(verifier.asked) == 2


def test_lets_one_of_many_use_a_token(verifier):
    token = verifier.token()

    with ThreadPoolExecutor(4) as pool:
        problems = sorted(answer.problem for answer in pool.map(_verify, [token] * 12))

    assert problems == ["", *["replayed"] * 11]


@pytest.mark.parametrize("token", [None, 5, "", [], {"a": 1}, "a b", "é", "a\x00", "\ud800", "x" * 8193])
def test_bothers_nobody_with_what_can_be_no_token(verifier, token):
    assert _verify(token).problem == "rejected"
    assert verifier.asked == []


@pytest.mark.parametrize(("secret", "asked"), [("", 0), ("mistyped", 1)])
def test_refuses_and_tells_the_operator_when_the_secret_is_no_good(verifier, caplog, secret, asked):
    assert _verify(verifier.token(), secret=secret).problem == "rejected"

    assert len(verifier.asked) == asked
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "secret" in caplog.text
    assert not secret or secret not in caplog.text


@pytest.mark.parametrize("kind", ["recaptcha_v2", "hcaptcha", "turnstile"])
def test_needs_no_score_of_the_other_kinds(verifier, kind):
    assert _verify(verifier.token(score=None, action=None), kind).is_accepted
    assert _verify(verifier.token(score=None, action="chat"), kind).problem == "wrong_action"
    assert _verify(verifier.token(score=None, hostname="evil.com"), kind).problem == "wrong_hostname"


def test_refuses_a_kind_it_does_not_know(verifier):
    assert _verify(verifier.token(), "riddle").problem == "rejected"


@pytest.mark.parametrize(
    "illness",
    ["garbage", "another_shape", "text_for_true", "fails", "redirects", "endless", "bomb", "cuts"],
)
def test_believes_no_verifier_that_talks_nonsense(verifier, illness):
    verifier.behaviour = illness

    assert _verify(verifier.token()).problem == "unreachable"


@pytest.mark.parametrize("illness", ["hangs", "drips_headers", "drips_body"])
def test_gives_up_however_slowly_the_answer_comes(verifier, illness, monkeypatch):
    monkeypatch.setattr(captcha, "BUDGET_SECONDS", 0.4)
    verifier.behaviour = illness

    # Each would take much longer than a test may, byte by byte.
    assert _verify(verifier.token()).problem == "unreachable"
    assert not verifier.recovered.is_set()


def test_is_unreachable_when_nobody_listens(settings):
    settings.CAPTCHA_VERIFY_URLS = dict.fromkeys(captcha.KINDS, "http://127.0.0.1:9/")

    assert _verify("some-token").problem == "unreachable"


def _fall_ill(verifier):
    verifier.behaviour = "fails"
    for _ in range(breaker.FAILURES_BEFORE_REST):
        assert _verify(verifier.token()).problem == "unreachable"


def test_leaves_an_ill_verifier_alone_and_tries_it_again(verifier, monkeypatch):
    monkeypatch.setattr(breaker, "REST_SECONDS", 0.3)
    _fall_ill(verifier)
    asked, verifier.behaviour = len(verifier.asked), "well"
    good = verifier.token()

    assert [_verify(good).problem for _ in range(20)] == ["unreachable"] * 20
    assert len(verifier.asked) == asked
    time.sleep(0.35)
    assert _verify(good).is_accepted  # nobody was asked about it, so it was not used up
    assert _verify(verifier.token()).is_accepted


def test_counts_failures_in_a_row_only(verifier):
    for _ in range(breaker.FAILURES_BEFORE_REST):
        verifier.behaviour = "fails"
        assert _verify(verifier.token()).problem == "unreachable"
        verifier.behaviour = "well"
        assert _verify(verifier.token()).is_accepted


def test_a_token_that_was_used_does_not_make_an_ill_verifier_well(verifier, monkeypatch):
    used = verifier.token()
    _verify(used)
    monkeypatch.setattr(breaker, "REST_SECONDS", 0.0)
    _fall_ill(verifier)

    assert _verify(used).problem == "replayed"
    assert not captcha._breakers["recaptcha_v3"].is_well


def test_tries_an_ill_verifier_one_request_at_a_time(verifier, monkeypatch):
    monkeypatch.setattr(breaker, "REST_SECONDS", 0.0)
    _fall_ill(verifier)
    asked, verifier.behaviour = len(verifier.asked), "hangs"
    trial = threading.Thread(target=_verify, args=[verifier.token()])
    trial.start()
    while len(verifier.asked) == asked:
        time.sleep(0.01)

    assert [_verify(verifier.token()).problem for _ in range(10)] == ["unreachable"] * 10
    assert len(verifier.asked) == asked + 1
    verifier.recovered.set()
    trial.join()


def test_lets_only_some_requests_wait_for_a_verifier_that_hangs(verifier, monkeypatch):
    monkeypatch.setattr(captcha, "PATIENCE_SECONDS", 0.05)
    verifier.behaviour = "hangs"
    with ThreadPoolExecutor(captcha.MOST_WAITING) as pool:
        waiting = [pool.submit(_verify, verifier.token()) for _ in range(captcha.MOST_WAITING)]
        while len(verifier.asked) < captcha.MOST_WAITING:
            time.sleep(0.01)

        assert [_verify(verifier.token()).problem for _ in range(5)] == ["unreachable"] * 5
        assert not any(asked.done() for asked in waiting)
        verifier.recovered.set()
    assert len(verifier.asked) == captcha.MOST_WAITING
