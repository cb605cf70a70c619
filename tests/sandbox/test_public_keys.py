from __future__ import annotations

from typing import Any

import pytest

from .conftest import GB_PEER, US, US_PEER, Sandbox

ORIGIN = "https://clinic.example.com"


def make_key(sandbox: Sandbox, **fields: Any) -> str:
    return sandbox.post("public-keys", domains=["clinic.example.com"], **fields)["key"]


def request(
    sandbox: Sandbox, key: str, path: str, *, origin: str | None = ORIGIN, ip: str = "203.0.113.7", **body: Any
) -> int:
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": ip}
    if origin is not None:
        headers["Origin"] = origin
    return sandbox.http.post(path, json=body, headers=headers).status_code


def dial(sandbox: Sandbox, key: str, *, to_number: str = US_PEER, **fields: Any) -> int:
    return request(sandbox, key, "/v2/create-phone-call", from_number=US, to_number=to_number, **fields)


def test_opens_only_what_a_website_needs(sandbox: Sandbox) -> None:
    key = make_key(sandbox)

    assert request(sandbox, key, "/create-chat", agent_id="agent_chat") == 201
    assert request(sandbox, key, "/v3/create-web-call", agent_id="agent_web") == 201
    assert request(sandbox, key, "/create-sms-chat", from_number=US, to_number=US_PEER) == 200
    assert dial(sandbox, key) == 201
    assert request(sandbox, key, "/v3/list-calls") == 403
    assert request(sandbox, key, "/sandbox/faults", rate=0) == 401


@pytest.mark.parametrize(
    "origin",
    [None, "null", "https://evil.example.com", "https://clinic.example.com.evil.com", "https://eclinic.example.com"],
)
def test_refuses_another_origin(sandbox: Sandbox, origin: str | None) -> None:
    assert dial(sandbox, make_key(sandbox), origin=origin) == 403


@pytest.mark.parametrize(
    ("token", "status"), [(None, 403), ("", 403), ("score:0.3", 403), ("score:0.7", 201), ("token", 201)]
)
def test_wants_a_captcha_where_abuse_prevention_is_on(sandbox: Sandbox, token: str | None, status: int) -> None:
    key = make_key(sandbox, abuse_prevention=True)

    assert dial(sandbox, key, recaptcha_token=token) == status


def test_limits_the_pair_of_address_and_destination(sandbox: Sandbox) -> None:
    key = make_key(sandbox, fraud_protection=True)

    statuses = [dial(sandbox, key) for _ in range(6)]

    assert statuses == [201] * 5 + [429]
    assert dial(sandbox, key, to_number=GB_PEER) == 201
    assert dial(sandbox, key, ip="203.0.113.8") == 201
    assert request(sandbox, key, "/create-sms-chat", from_number=US, to_number=US_PEER) == 429
    sandbox.put("settings", clock_offset_ms=601_000)
    assert dial(sandbox, key) == 201


def test_has_no_limit_while_fraud_protection_is_off(sandbox: Sandbox) -> None:
    key = make_key(sandbox)

    assert [dial(sandbox, key) for _ in range(7)] == [201] * 7


def test_is_managed_under_the_controls(sandbox: Sandbox) -> None:
    key = make_key(sandbox, name="website")

    changed = sandbox.http.patch(f"/sandbox/public-keys/{key}", json={"fraud_protection": True}).json()
    listed = sandbox.get("public-keys")
    sandbox.http.delete(f"/sandbox/public-keys/{key}")

    assert changed == {**listed[0], "fraud_protection": True}
    assert changed["name"] == "website"
    assert sandbox.get("public-keys") == []
    assert dial(sandbox, key) == 401


def test_keeps_the_state_of_reviews(sandbox: Sandbox) -> None:
    sandbox.put("kyc-status", status="in_review", subjects={"sub_1": {"level": 2}, "sub_2": {"level": 1}})
    sandbox.put("kyc-status", subjects={"sub_2": None})

    assert sandbox.get("kyc-status") == {"status": "in_review", "subjects": {"sub_1": {"level": 2}}}
    assert sandbox.http.post("/v2/create-phone-call", json={"from_number": US, "to_number": US_PEER}).status_code == 403
