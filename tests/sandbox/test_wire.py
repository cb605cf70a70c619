from __future__ import annotations

import pytest
import retell

from .conftest import API_KEY, US, Sandbox


def test_asks_for_the_key_before_anything_else(sandbox: Sandbox) -> None:
    with pytest.raises(retell.AuthenticationError) as caught:
        sandbox.client(key="key_wrong").phone_number.list()
    unknown_path = sandbox.http.get("/no-such-thing", headers={"Authorization": ""})
    control = sandbox.http.get("/sandbox/log", headers={"Authorization": "Bearer key_wrong"})

    assert caught.value.body == {"status": "error", "message": "API key is missing or invalid."}
    assert unknown_path.status_code == 401
    assert control.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no-such-thing", 404),
        ("PUT", "/get-concurrency", 405),
        ("GET", "/get-concurrency/", 404),
    ],
)
def test_answers_unknown_paths_in_its_own_words(sandbox: Sandbox, method: str, path: str, status: int) -> None:
    response = sandbox.http.request(method, path)

    assert response.status_code == status
    assert set(response.json()) == {"status", "message"}


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"\xff", b'{"a":NaN}', b'{"a":"\\ud800"}', b"[" * 5000, b'{"a":1e999}', b'{"a":1' + b"0" * 30 + b"}"],
)
def test_refuses_a_body_that_is_no_object(sandbox: Sandbox, content: bytes) -> None:
    response = sandbox.http.patch(f"/update-phone-number/{US}", content=content)

    assert response.status_code == 400
    assert response.json()["message"].startswith("Invalid request format, please check API reference.")


def test_tells_a_malformed_body_before_an_unknown_number(sandbox: Sandbox) -> None:
    path = "/update-phone-number/+14155559999"

    assert sandbox.http.patch(path, json={"nickname": 1}).status_code == 400
    assert sandbox.http.patch(path, json={"nickname": "x"}).status_code == 422


def test_limits_requests_per_second_but_never_its_controls(sandbox: Sandbox) -> None:
    sandbox.put("settings", rps=5)

    statuses = [sandbox.http.get("/get-concurrency").status_code for _ in range(15)]
    throttled = sandbox.http.get("/get-concurrency")
    controls = [sandbox.http.get("/sandbox/settings").status_code for _ in range(15)]

    assert 5 <= statuses.count(200) <= 8
    assert statuses.count(429) == 15 - statuses.count(200)
    assert throttled.headers["Retry-After"] == "1"
    assert controls == [200] * 15


def test_forgets_and_replaces_api_keys(sandbox: Sandbox) -> None:
    sandbox.put("settings", api_keys=["key_new"])

    assert sandbox.client(key="key_new").phone_number.list().items
    with pytest.raises(retell.AuthenticationError):
        sandbox.client(key=API_KEY).phone_number.list()


def test_says_who_is_asking(sandbox: Sandbox) -> None:
    assert sandbox.retell.identity.retrieve().org_id == "org_sandbox"


def test_logs_changes_in_order_and_no_refusals(sandbox: Sandbox) -> None:
    before = sandbox.get("log")[-1]["n"]
    for nickname in ("one", "two"):
        sandbox.retell.phone_number.update(US, nickname=nickname)
    sandbox.http.patch(f"/update-phone-number/{US}", json={"nickname": 5})
    sandbox.retell.phone_number.retrieve(US)

    entries = sandbox.get("log", after=before)

    assert [entry["body"] for entry in entries] == [{"nickname": "one"}, {"nickname": "two"}]
    assert {entry["path"] for entry in entries} == {f"/update-phone-number/{US}"}
    assert before < entries[0]["n"] < entries[1]["n"]
    assert entries[0]["time"] <= entries[1]["time"]


def test_tells_people_about_a_refusal_on_one_line(sandbox: Sandbox) -> None:
    sandbox.http.patch("/update-phone-number/+14155550199", json={"nickname": "x"})

    lines: list[str] = []
    while not lines:  # what it says arrives when it arrives; the test's own time limit ends a silence
        lines = [line for line in list(sandbox.said) if "+14155550199" in line]

    assert len(lines) == 1
    assert "refused PATCH /update-phone-number/+14155550199 422" in lines[0]


def test_refuses_an_unknown_setting(sandbox: Sandbox) -> None:
    response = sandbox.http.put("/sandbox/settings", json={"base_concurency": 3})

    assert response.status_code == 400
    assert "base_concurency" in response.json()["message"]
