"""What may be chosen in a request: nothing is passed on that the key does not allow, nothing malformed gets far."""

import json

import pytest

from tests.policies.gate.outbound.conftest import CALL, CHAT, DIAL, OURS, PEER, SMS, WEB, calls, started

pytestmark = pytest.mark.django_db

CHOICES = {
    "from_number": "+14155550101",
    "override_agent_id": "agent_other",
    "override_agent_version": 4,
    "agent_override": {"agent": {"language": "de-DE"}},
    "metadata": {"a": 1},
    "retell_llm_dynamic_variables": {"name": "Ann"},
    "custom_sip_headers": {"X-A": "1"},
    "ignore_e164_validation": True,
    "honor_internal_dnc": False,
    "agent_id": "agent_other",
    "something_new": 1,
}


@pytest.mark.parametrize(("field", "value"), CHOICES.items())
def test_a_page_chooses_nothing_that_its_key_does_not_name(gate, uponai, field, value):
    response = gate.page(CALL, gate.key(), {"to_number": PEER, field: value})

    assert response.status_code == 422
    assert response.json()["message"].startswith(f"{field}")
    assert response.json()["code"] == "blocked"
    assert started(uponai) == []


@pytest.mark.parametrize("field", [name for name in CHOICES if name not in ("from_number", "agent_id")])
def test_a_page_chooses_what_its_key_names(gate, uponai, field):
    key = gate.key(allowed_fields=[field])

    response = gate.page(CALL, key, {"to_number": PEER, field: CHOICES[field]})

    assert response.status_code == 201
    sent = started(uponai)[0]["body"][field]
    if field == "agent_override":
        del sent["agent"]["max_call_duration_ms"]
    if field == "metadata":
        del sent["decision_id"]
    assert sent == CHOICES[field]


def test_what_is_pinned_may_be_repeated_and_not_changed(gate, uponai):
    key = gate.key(agent_version="7")
    same = {"to_number": PEER, "from_number": OURS, "override_agent_id": "agent_page", "override_agent_version": 7}

    assert gate.page(CALL, key, same).status_code == 201
    assert gate.page(CALL, key, same | {"override_agent_version": 8}).status_code == 422
    assert started(uponai)[0]["body"]["override_agent_version"] == 7


def test_a_page_that_chooses_the_agent_gets_no_version_of_another(gate, uponai):
    key = gate.key(agent_version="7", allowed_fields=["override_agent_id"])

    gate.page(CALL, key, {"to_number": PEER, "override_agent_id": "agent_b"})

    assert "override_agent_version" not in started(uponai)[0]["body"]


@pytest.mark.parametrize(
    ("variables", "refused"),
    [
        ({"name": "Ann"}, None),
        ({"name": "Ann", "city": "Rome"}, "retell_llm_dynamic_variables.city"),
        ({"name.first": "Ann"}, "retell_llm_dynamic_variables.name.first"),
        ({"retell_llm_dynamic_variables.name": "Ann"}, "retell_llm_dynamic_variables.retell_llm_dynamic_variables"),
        ({}, "retell_llm_dynamic_variables"),
    ],
)
def test_a_key_may_name_parts_of_a_field(gate, uponai, variables, refused):
    key = gate.key(allowed_fields=["retell_llm_dynamic_variables.name"])

    response = gate.page(CALL, key, {"to_number": PEER, "retell_llm_dynamic_variables": variables})

    assert response.status_code == (422 if refused else 201)
    if refused:
        assert response.json()["message"].startswith(refused)


def test_what_a_key_allows_still_carries_the_decision_and_the_cap(gate, uponai):
    key = gate.key(allowed_fields=["metadata", "agent_override"])
    longest = {"agent": {"max_call_duration_ms": 7_200_000}}

    response = gate.page(CALL, key, {"to_number": PEER, "metadata": {"decision_id": "mine"}, "agent_override": longest})

    body = started(uponai)[0]["body"]
    assert body["metadata"] == {"decision_id": response["X-Decision-Id"]}
    assert body["agent_override"]["agent"]["max_call_duration_ms"] <= 180_000


@pytest.mark.parametrize(
    ("path", "facts", "body", "field"),
    [
        (CALL, {"phone_number": ""}, {"to_number": PEER}, "from_number"),
        (SMS, {"phone_number": ""}, {"to_number": PEER}, "from_number"),
        (WEB, {"agent": ""}, {}, "agent_id"),
        (CHAT, {"agent": ""}, {}, "agent_id"),
        (CALL, {}, {}, "to_number"),
    ],
)
def test_says_what_a_key_lacks(gate, uponai, path, facts, body, field):
    response = gate.page(path, gate.key(**facts), body)

    assert (response.status_code, response.json()["message"].split(":")[0]) == (422, field)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to_number": 123}, "to_number"),
        ({"to_number": []}, "to_number"),
        ({"to_number": {"a": 1}}, "to_number"),
        ({"to_number": True}, "to_number"),
        ({"to_number": None}, "to_number"),
        ({"from_number": 14155550100}, "from_number"),
        ({"from_number": None}, "from_number"),
        ({"from_number": ""}, "from_number"),
        ({"metadata": []}, "metadata"),
        ({"metadata": "x"}, "metadata"),
        ({"agent_override": []}, "agent_override"),
        ({"agent_override": {"agent": []}}, "agent_override.agent"),
        ({"agent_override": {"agent": {"max_call_duration_ms": "9"}}}, "agent_override.agent.max_call_duration_ms"),
        ({"agent_override": {"agent": {"max_call_duration_ms": True}}}, "agent_override.agent.max_call_duration_ms"),
        ({"agent_override": {"agent": {"max_call_duration_ms": 0}}}, "agent_override.agent.max_call_duration_ms"),
        ({"agent_override": {"agent": {"max_call_duration_ms": -1}}}, "agent_override.agent.max_call_duration_ms"),
        ({"override_agent_id": 7}, "override_agent_id"),
        ({"override_agent_version": []}, "override_agent_version"),
        ({"retell_llm_dynamic_variables": []}, "retell_llm_dynamic_variables"),
        ({"idempotency_key": 7}, "idempotency_key"),
        ({"idempotency_key": "x" * 201}, "idempotency_key"),
        ({"idempotency_key": "a\x00"}, "idempotency_key"),
        ({"recaptcha_token": 7}, "recaptcha_token"),
    ],
)
def test_names_the_field_that_is_malformed(gate, uponai, change, field):
    response = gate.post(CALL, DIAL | change)

    assert (response.status_code, response.json()["message"].split(":")[0]) == (422, field)
    assert started(uponai) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"null",
        b"7",
        b"\xff\xfe",
        b'{"to_number": NaN}',
        b'{"to_number": 1e400}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b'{"metadata": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
    ],
)
def test_refuses_what_is_no_json_object(gate, uponai, content):
    response = gate.post(CALL, content)

    assert (response.status_code, response.json()["status"]) == (422, "error")


def test_refuses_what_is_too_deep_to_be_passed_on(gate, uponai):
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    content = b'{"from_number":"+14155550100","to_number":"+14155550142","metadata":' + deep + b"}"

    assert gate.post(CALL, content).status_code == 422


def test_refuses_a_body_that_is_too_large(gate, uponai):
    response = gate.post(CALL, DIAL | {"metadata": {"a": "x" * 300_000}})

    assert (response.status_code, response.json()["status"]) == (413, "error")


def test_of_a_field_that_stands_there_twice_the_judged_one_is_sent(gate, uponai):
    content = b'{"from_number":"+14155550100","to_number":"+5351234567","to_number":"+14155550142"}'

    assert gate.post(CALL, content).status_code == 201
    assert calls(uponai)[0].to_number == PEER
    assert b"+5351234567" not in json.dumps(started(uponai)).encode()


def test_never_passes_a_captcha_token_on(gate, uponai):
    assert gate.post(CALL, DIAL | {"recaptcha_token": "abc"}).status_code == 201
    assert gate.post(CALL, DIAL, **{"X-Captcha-Token": "abc"}).status_code == 201
    assert gate.page(CALL, gate.key(), {"to_number": PEER, "recaptcha_token": "abc"}).status_code == 201
    assert all("recaptcha_token" not in entry["body"] for entry in started(uponai))
    assert "abc" not in json.dumps(started(uponai))


@pytest.mark.parametrize(
    ("header", "field"), [("X-Captcha-Token", "recaptcha_token"), ("Idempotency-Key", "idempotency_key")]
)
def test_refuses_two_that_differ(gate, uponai, header, field):
    assert gate.post(CALL, DIAL | {field: "a"}, **{header: "b"}).status_code == 422
    assert gate.post(CALL, DIAL | {field: "a"}, **{header: "a"}).status_code == 201
