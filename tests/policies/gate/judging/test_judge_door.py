"""Attempts that are dialled elsewhere: judged, recorded and counted as if they were dialled here."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from accounts.models import Workspace
from accounts.scoping import scoped
from policies.engine.limits import TOKEN_DEFAULTS, LimitName
from policies.gate import recorder, snapshots, store
from policies.gate.judging import attempts, repeats
from policies.models import Decision, Dial, JudgedRequest
from tests.factories import make_token, make_workspace, moment
from tests.policies.gate.judging.conftest import CAPTCHA, JUDGE
from tests.policies.gate.outbound.conftest import OURS, PEER, SITE, Gate

pytestmark = pytest.mark.django_db

CALL = {"direction": "outbound", "channel": "phone_call", "from_number": OURS, "to_number": PEER}
CUBA = CALL | {"to_number": "+5351234567"}
MOST_OF_ONE_DESTINATION = int(TOKEN_DEFAULTS[LimitName.DESTINATION].limit)


def _decisions(gate: Gate) -> list[Decision]:
    recorder.drain(now=moment())
    with scoped(gate.workspace.pk):
        return list(Decision.objects.order_by("pk"))


def test_answers_as_a_preview_does_and_starts_nothing(gate):
    response = gate.post(JUDGE, CALL)

    assert response.status_code == 200
    verdict = response.json()
    preview = {"verdict", "reason", "reasons", "peer", "trace", "counterfactuals", "policy", "degraded"}
    assert verdict.keys() == preview | {"decision_id", "call_seconds"}
    assert (verdict["verdict"], verdict["reason"]) == ("allow", None)
    assert verdict["peer"]["e164"] == PEER
    assert verdict["call_seconds"] == TOKEN_DEFAULTS[LimitName.CALL_SECONDS].limit
    (decision,) = _decisions(gate)
    assert (str(decision.decision_id), decision.verdict) == (verdict["decision_id"], "allow")
    (dial,) = gate.dials()
    assert (str(dial.decision_id), dial.to_number, dial.call_id) == (verdict["decision_id"], PEER, "")
    assert dial.state == Dial.State.DONE
    assert dial.due_at is None
    assert dial.charges


def test_answers_200_whatever_the_verdict_is(gate):
    response = gate.post(JUDGE, CUBA)

    assert response.status_code == 200
    assert (response.json()["verdict"], response.json()["reason"]) == ("block", "sanctioned_country")
    assert response.json()["call_seconds"] is None
    assert [decision.reason for decision in _decisions(gate)] == ["sanctioned_country"]
    assert gate.dials() == []


def test_counts_what_it_let_through(gate):
    reasons = [gate.post(JUDGE, CALL).json()["reason"] for _ in range(MOST_OF_ONE_DESTINATION + 1)]

    assert reasons == [None] * MOST_OF_ONE_DESTINATION + ["rate_limited"]


def test_counts_within_one_request_too(gate):
    results = gate.post(JUDGE, {"attempts": [CALL] * (MOST_OF_ONE_DESTINATION + 2)}).json()["results"]

    assert [result["reason"] for result in results] == [None] * MOST_OF_ONE_DESTINATION + ["rate_limited"] * 2
    assert len({result["decision_id"] for result in results}) == len(results)
    assert len(_decisions(gate)) == len(results)
    assert len(gate.dials()) == MOST_OF_ONE_DESTINATION


BAD = [
    5,
    None,
    "call",
    [],
    {},
    CALL | {"to_number": 14155550142},
    CALL | {"to_number": {"number": PEER}},
    CALL | {"to_number": "1" * 250},
    CALL | {"to_number": "\x00"},
    CALL | {"from_number": ["+1"], "to_number": PEER},
    CALL | {"direction": "sideways"},
    CALL | {"channel": 7},
]


def test_finds_a_verdict_on_each_of_a_list_in_its_order(gate):
    results = gate.post(JUDGE, {"attempts": [*BAD, CALL, CUBA]}).json()["results"]

    assert [result["verdict"] for result in results] == ["block"] * len(BAD) + ["allow", "block"]
    assert all(result["reason"] and result["decision_id"] for result in results[: len(BAD)])
    assert not any(result["degraded"] for result in results)
    assert len(_decisions(gate)) == len(results)


@pytest.mark.parametrize("value", BAD, ids=repr)
def test_finds_a_verdict_on_anything(gate, value):
    if isinstance(value, dict):
        response = gate.post(JUDGE, value)
        assert (response.status_code, response.json()["verdict"]) == (200, "block")
        assert len(_decisions(gate)) == 1
    else:
        response = gate.post(JUDGE, json.dumps(value).encode())
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


def test_takes_a_nest_that_is_too_deep_for_no_number(gate):
    nest = b'{"to_number":' + b"[" * 900 + b"]" * 900 + b"}"

    response = gate.post(JUDGE, b'{"attempts":[' + nest + b"]}")

    assert response.json()["results"][0]["reason"] == "invalid_number"
    assert len(_decisions(gate)) == 1


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"attempts": CALL}, "attempts"),
        ({"attempts": [CALL] * (attempts.MOST_ATTEMPTS + 1)}, "1001"),
        ({"attempts": [], "ip": "203.0.113.7"}, "ip"),
        ([CALL], "body"),
        (b"{", "body"),
        (b'{"to_number": NaN}', "body"),
    ],
)
def test_refuses_what_is_neither_an_attempt_nor_a_list_of_some(gate, body, word):
    response = gate.post(JUDGE, body)

    assert response.status_code == 422
    assert (response.json()["status"], response.json()["code"]) == ("error", "invalid_request")
    assert word in response.json()["message"]
    assert response["x-should-retry"] == "false"


def test_takes_a_thousand_at_once(gate):
    many = [CALL | {"to_number": f"+1415555{number:04d}"} for number in range(attempts.MOST_ATTEMPTS)]

    assert len(gate.post(JUDGE, {"attempts": many}).json()["results"]) == attempts.MOST_ATTEMPTS


def test_refuses_a_body_that_is_too_large(gate):
    assert gate.post(JUDGE, b'{"attempts": [' + b" " * 1024 * 1024 + b"]}").status_code == 413


# --- Who asks -------------------------------------------------------------------------------------


def test_is_for_tokens_that_may_use_the_gate(gate):
    page = gate.page(JUDGE, gate.key(), CALL)
    assert (page.status_code, page.json()["code"]) == (403, "blocked")
    for credential in ("none", "nonsense", make_token(gate.workspace, "calls:write"), gate.token + "x"):
        refused = gate.post(JUDGE, CALL, credential=credential)
        assert (refused.status_code, refused.json()["code"]) == (401, "unknown_key")
    assert _decisions(gate) == []


def test_judges_by_the_workspace_of_the_token_alone(gate):
    stranger = Gate(make_workspace())

    assert stranger.post(JUDGE, CALL).json()["reason"] == "unknown_number"
    assert _decisions(gate) == []


def test_takes_the_end_user_from_the_headers_where_the_attempt_names_none(gate):
    headers = {"X_End_User_Id": "user-1", "X_End_User_IP": "198.51.100.1"}
    own = CALL | {"subject": "user-2", "ip": "198.51.100.2"}

    gate.post(JUDGE, {"attempts": [CALL, own]}, **headers)

    assert [(row.subject, row.ip) for row in _decisions(gate)] == [
        ("user-1", "198.51.100.1"),
        ("user-2", "198.51.100.2"),
    ]
    assert [(row.subject, row.ip) for row in gate.dials()] == [("user-1", "198.51.100.1"), ("user-2", "198.51.100.2")]


@pytest.mark.parametrize(
    "ip", ["nowhere", "1.2.3", 7, ["198.51.100.1"], "::ffff:198.51.100.1", "fe80::1%eth0", "1\x00"]
)
@pytest.mark.parametrize("subject", ["x" * 5000, "a\x00b", 7, {}])
def test_records_whatever_is_said_of_the_end_user(gate, ip, subject):
    response = gate.post(JUDGE, CALL | {"ip": ip, "subject": subject, "origin": "\x00", "call_reference": "\x00"})

    assert response.status_code == 200
    assert len(_decisions(gate)) == 1


# --- As a gate key would be judged ----------------------------------------------------------------


def test_judges_an_attempt_as_the_key_that_it_names(gate):
    key = gate.key(channels=["chat"])
    by_key = CALL | {"public_key": key.key, "origin": SITE}

    assert gate.post(JUDGE, by_key).json()["reason"] == "channel_disabled"
    chat = {"channel": "chat", "public_key": key.key}
    assert gate.post(JUDGE, chat | {"origin": SITE}).json()["reason"] is None
    assert gate.post(JUDGE, chat | {"origin": "https://evil.com"}).json()["reason"] == "origin_not_allowed"
    assert gate.post(JUDGE, chat).json()["reason"] == "origin_not_allowed"
    assert gate.post(JUDGE, CALL | {"public_key": "pk_nobody", "origin": SITE}).json()["reason"] == "unknown_key"


def test_verifies_the_captcha_that_the_key_asks_for(gate, verifier):
    key = gate.key(**CAPTCHA)
    by_key = CALL | {"public_key": key.key, "origin": SITE}
    token = verifier.token()

    assert gate.post(JUDGE, by_key).json()["reason"] == "captcha_required"
    assert gate.post(JUDGE, by_key | {"captcha": token}).json()["reason"] is None
    assert gate.post(JUDGE, by_key | {"captcha": token}).json()["reason"] == "captcha_failed"
    assert gate.post(JUDGE, by_key, X_Captcha_Token=verifier.token()).json()["reason"] is None
    assert gate.post(JUDGE, by_key | {"recaptcha_token": verifier.token(action="chat")}).json()["reason"] == (
        "captcha_failed"
    )


def test_verifies_no_captcha_of_a_list(gate, verifier):
    by_key = CALL | {"public_key": gate.key(**CAPTCHA).key, "origin": SITE, "captcha": verifier.token()}

    (result,) = gate.post(JUDGE, {"attempts": [by_key]}).json()["results"]

    assert (result["verdict"], result["reason"]) == ("challenge", "captcha_required")
    assert verifier.asked == []


def test_judges_what_comes_in_over_another_trunk(gate):
    inbound = {"direction": "inbound", "from_number": "+14165550123", "to_number": OURS}

    assert gate.post(JUDGE, inbound).json()["verdict"] == "allow"
    assert gate.post(JUDGE, inbound | {"from_number": "+18765550123"}).json()["reason"] == "country_not_allowed"
    assert [row.direction for row in _decisions(gate)] == ["inbound", "inbound"]
    assert gate.dials() == []


# --- The same request again -----------------------------------------------------------------------


@pytest.mark.parametrize("body", [CALL, CUBA, {"attempts": [CALL, CUBA, 5]}], ids=["passes", "blocked", "list"])
def test_answers_a_repeated_request_alike_and_counts_it_once(gate, body):
    first, *others = [gate.post(JUDGE, body, Idempotency_Key="once").content for _ in range(4)]
    decisions, dials = len(_decisions(gate)), len(gate.dials())

    assert others == [first] * 3
    wanted = body.get("attempts", [body])
    assert decisions == len(wanted)
    assert dials == sum(attempt == CALL for attempt in wanted)
    assert gate.post(JUDGE, body, Idempotency_Key="twice").content != first


def test_takes_the_key_of_a_repeat_from_the_body_too(gate):
    assert gate.post(JUDGE, CALL | {"idempotency_key": "once"}).content == (
        gate.post(JUDGE, CALL, Idempotency_Key="once").content
    )
    both = gate.post(JUDGE, CALL | {"idempotency_key": "other"}, Idempotency_Key="once")
    assert both.status_code == 422


@pytest.mark.parametrize("other", [{"body": CUBA}, {"X_End_User_Id": "somebody"}, {"X_End_User_IP": "198.51.100.9"}])
def test_refuses_the_same_key_for_another_request(gate, other):
    other = dict(other)
    gate.post(JUDGE, CALL, Idempotency_Key="once")

    body = other.pop("body", CALL)
    response = gate.post(JUDGE, body, Idempotency_Key="once", **other)

    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert len(_decisions(gate)) == 1


def test_keeps_the_keys_of_each_credential_apart(gate):
    first = gate.post(JUDGE, CALL, Idempotency_Key="once")
    gate.token = make_token(gate.workspace, "gate:write")
    gate.publish()

    assert gate.post(JUDGE, CALL, Idempotency_Key="once").content != first.content


def test_answers_409_while_the_first_is_judged_and_takes_over_from_a_dead_one(gate):
    first = gate.post(JUDGE, CALL, Idempotency_Key="once").json()
    with scoped(gate.workspace.pk):
        JudgedRequest.objects.update(answer="")

    running = gate.post(JUDGE, CALL, Idempotency_Key="once")
    assert (running.status_code, running["Retry-After"]) == (409, "1")
    with scoped(gate.workspace.pk):
        JudgedRequest.objects.update(at=moment() - repeats.RUNNING_FOR - timedelta(seconds=1))
    again = gate.post(JUDGE, CALL, Idempotency_Key="once").json()

    assert again["decision_id"] == first["decision_id"]
    assert len(gate.dials()) == len(_decisions(gate)) == 1
    assert gate.post(JUDGE, CALL, Idempotency_Key="once").json() == again


def test_forgets_an_answer_after_a_day(gate):
    first = gate.post(JUDGE, CUBA, Idempotency_Key="once").json()
    with scoped(gate.workspace.pk):
        JudgedRequest.objects.update(at=moment() - repeats.KEPT_FOR - timedelta(seconds=1))

    gate.post(JUDGE, CUBA, Idempotency_Key="another")

    with scoped(gate.workspace.pk):
        assert [row.idempotency_key for row in JudgedRequest.objects.all()] == ["another"]
    assert first["verdict"] == "block"


@pytest.mark.postgres
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite lets one transaction write at a time anyway")
@pytest.mark.django_db(transaction=True)
def test_judges_once_for_many_that_ask_at_once(gate):
    start = threading.Barrier(8)

    def ask(_):
        start.wait()
        try:
            return gate.post(JUDGE, CALL, Idempotency_Key="once")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(ask, range(8)))

    assert {response.status_code for response in responses} <= {200, 409}
    assert len({response.content for response in responses if response.status_code == 200}) == 1
    assert len(gate.dials()) == len(_decisions(gate)) == 1


# --- What is away ---------------------------------------------------------------------------------


def test_counts_in_the_database_while_the_store_is_away(gate, nobody_listens):
    verdicts = [gate.post(JUDGE, CALL).json() for _ in range(MOST_OF_ONE_DESTINATION)]

    assert all(verdict["degraded"] for verdict in verdicts)
    allowed = [verdict for verdict in verdicts if verdict["verdict"] == "allow"]
    assert len(allowed) == MOST_OF_ONE_DESTINATION // 2
    assert all(dial.counted_by_database for dial in gate.dials())
    assert len(gate.dials()) == len(allowed)


def test_counts_a_list_in_the_database_too(gate, nobody_listens):
    results = gate.post(JUDGE, {"attempts": [CALL] * MOST_OF_ONE_DESTINATION}).json()["results"]

    assert sum(result["verdict"] == "allow" for result in results) == MOST_OF_ONE_DESTINATION // 2


def _away(execute, *arguments):
    raise OperationalError("the database is away")


def _rows_away(execute, sql, *arguments):
    if "policies_dial" in sql:
        raise OperationalError("the table is away")
    return execute(sql, *arguments)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("away", "headers", "body"),
    [
        (_away, {"Idempotency_Key": "once"}, CALL),
        (_rows_away, {}, {"attempts": [CALL, CALL]}),
        (_rows_away, {"Idempotency_Key": "once"}, CALL),
    ],
)
def test_refuses_what_it_cannot_note_down(gate, away, headers, body):
    gate.post(JUDGE, CALL | {"to_number": "+14165550123"})

    with connection.execute_wrapper(away):
        response = gate.post(JUDGE, body, **headers)

    assert (response.status_code, response.json()["code"]) == (503, "degraded")
    assert [dial.to_number for dial in gate.dials()] == ["+14165550123"]
    assert gate.post(JUDGE, body, **headers).status_code == 200
    assert len(gate.dials()) == 1 + len(body.get("attempts", [body]))


@pytest.mark.django_db(transaction=True)
def test_gives_back_what_it_reserved_for_what_it_cannot_note_down(gate):
    abroad = {"limits": {"running_workspace": {"limit": 1}}}
    Workspace.objects.filter(pk=gate.workspace.pk).update(**abroad)
    gate.publish()
    gate.post(JUDGE, CUBA)
    gate.post(JUDGE, CALL | {"channel": "sms"})

    with connection.execute_wrapper(_rows_away):
        assert gate.post(JUDGE, CALL).status_code == 503

    assert [gate.post(JUDGE, CALL).json()["reason"] for _ in range(2)] == [None, "concurrency_cap_reached"]


def test_says_of_each_that_it_could_not_be_judged(gate):
    gate.post(JUDGE, CUBA)
    store.connection().flushdb()
    snapshots.for_credential(gate.token)

    with connection.execute_wrapper(_away):
        response = gate.post(JUDGE, {"attempts": [CALL, CUBA]})

    assert response.status_code == 200
    results = response.json()["results"]
    assert [(result["verdict"], result["reason"], result["degraded"]) for result in results] == [
        ("block", "degraded", True),
        ("block", "degraded", True),
    ]
