from __future__ import annotations

import time

import httpx
import pytest
import retell

from .conftest import US, Sandbox, wait_for

PATH = f"/update-phone-number/{US}"


def inject(sandbox: Sandbox, kind: str, **options: object) -> None:
    sandbox.post("faults", rate=1, kinds=[kind], seed=1, **options)


def nickname(sandbox: Sandbox) -> str | None:
    """Read around the faults, by ending them."""
    sandbox.post("faults", rate=0)
    return sandbox.retell.phone_number.retrieve(US).nickname


@pytest.mark.parametrize(("kind", "status"), [("500", 500), ("429", 429)])
def test_fails_without_applying(sandbox: Sandbox, kind: str, status: int) -> None:
    inject(sandbox, kind)

    response = sandbox.http.patch(PATH, json={"nickname": "new"})

    assert response.status_code == status
    assert response.json()["status"] == "error"
    assert response.headers.get("Retry-After") == ("1" if status == 429 else None)
    assert nickname(sandbox) is None


@pytest.mark.parametrize(("kind", "applied"), [("timeout_before", None), ("timeout_after", "new")])
def test_is_silent_before_or_after_applying(sandbox: Sandbox, kind: str, applied: str | None) -> None:
    inject(sandbox, kind, hold_seconds=5)

    with pytest.raises(httpx.ReadTimeout):
        sandbox.http.patch(PATH, json={"nickname": "new"}, timeout=0.4)

    assert nickname(sandbox) == applied


def test_hangs_up_when_it_has_been_silent_long_enough(sandbox: Sandbox) -> None:
    inject(sandbox, "timeout_before", hold_seconds=0.2)

    with pytest.raises(httpx.NetworkError):
        sandbox.http.patch(PATH, json={"nickname": "new"})


def test_applies_late_over_a_newer_change(sandbox: Sandbox) -> None:
    inject(sandbox, "late_apply", late_seconds=[0.4, 0.4])
    with pytest.raises(httpx.NetworkError):
        sandbox.http.patch(PATH, json={"nickname": "older"})
    sandbox.post("faults", rate=0)

    newer = sandbox.retell.phone_number.update(US, nickname="newer").nickname

    assert newer == "newer"
    wait_for(lambda: sandbox.retell.phone_number.retrieve(US).nickname == "older")
    entries = [entry["body"] for entry in sandbox.get("log") if entry["path"] == PATH]
    assert entries == [{"nickname": "newer"}, {"nickname": "older"}]


def test_drips_slowly_enough_to_outlast_read_timeouts(sandbox: Sandbox) -> None:
    inject(sandbox, "slow_drip", drip_seconds=1)
    started = time.monotonic()

    response = sandbox.http.patch(PATH, json={"nickname": "new"}, timeout=0.5)

    assert time.monotonic() - started > 0.9
    assert response.json()["nickname"] == "new"
    assert nickname(sandbox) == "new"


def test_answers_garbage_after_applying(sandbox: Sandbox) -> None:
    inject(sandbox, "garbage")

    response = sandbox.http.patch(PATH, json={"nickname": "new"})

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    with pytest.raises(UnicodeDecodeError):
        response.content.decode()
    assert nickname(sandbox) == "new"


def test_breaks_off_in_the_middle_of_an_answer(sandbox: Sandbox) -> None:
    inject(sandbox, "truncated")

    with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|closed"):
        sandbox.http.patch(PATH, json={"nickname": "new"})

    assert nickname(sandbox) == "new"


def test_claims_success_and_does_nothing(sandbox: Sandbox) -> None:
    before = sandbox.get("log")
    inject(sandbox, "noop_200")

    response = sandbox.http.patch(PATH, json={"nickname": "new"})

    assert response.status_code == 200
    assert response.json()["nickname"] == "new"
    assert nickname(sandbox) is None
    assert sandbox.get("log") == before


def test_resets_the_connection(sandbox: Sandbox) -> None:
    inject(sandbox, "reset")

    with pytest.raises(httpx.NetworkError) as caught:
        sandbox.http.patch(PATH, json={"nickname": "new"})

    assert "reset" in str(caught.value).lower()
    assert nickname(sandbox) is None


def test_fails_the_same_requests_for_the_same_seed(sandbox: Sandbox) -> None:
    def statuses(seed: int) -> list[int]:
        sandbox.post("faults", rate=0.3, kinds=["500", "429"], seed=seed)
        return [sandbox.http.get(f"/get-phone-number/{US}").status_code for _ in range(60)]

    first, again, other = statuses(7), statuses(7), statuses(8)

    assert first == again != other
    assert 8 <= 60 - first.count(200) <= 30
    assert {500, 429} < set(first)
    injected = sandbox.get("faults")["injected"]
    assert sum(injected.values()) == 60 - other.count(200)


def test_never_fails_its_own_controls(sandbox: Sandbox) -> None:
    inject(sandbox, "500")

    assert [sandbox.http.get("/sandbox/log").status_code for _ in range(10)] == [200] * 10
    assert sandbox.http.get("/get-concurrency").status_code == 500


def test_is_weathered_by_the_retries_of_the_stock_client(sandbox: Sandbox) -> None:
    # With this seed the first request to the path fails and the second does not.
    seed = next(seed for seed in range(100) if _first_two(sandbox, seed) == [500, 200])
    sandbox.post("faults", rate=0.5, kinds=["500"], seed=seed)

    with pytest.raises(retell.InternalServerError):
        sandbox.client(max_retries=0).concurrency.retrieve()
    sandbox.post("faults", rate=0.5, kinds=["500"], seed=seed)
    assert sandbox.client(max_retries=1).concurrency.retrieve().current_concurrency == 0


def _first_two(sandbox: Sandbox, seed: int) -> list[int]:
    sandbox.post("faults", rate=0.5, kinds=["500"], seed=seed)
    return [sandbox.http.get("/get-concurrency").status_code for _ in range(2)]


@pytest.mark.parametrize("body", [{}, {"rate": 2}, {"rate": 0.1, "kinds": ["fire"]}, {"rate": "all"}])
def test_refuses_a_plan_it_does_not_understand(sandbox: Sandbox, body: dict[str, object]) -> None:
    assert sandbox.http.post("/sandbox/faults", json=body).status_code == 400


def test_fails_only_the_methods_and_keys_that_are_named(sandbox: Sandbox) -> None:
    sandbox.post("settings", api_keys=["key_a", "key_b"])
    a, b = ({"Authorization": f"Bearer {key}"} for key in ("key_a", "key_b"))
    sandbox.post("faults", rate=1, kinds=["429"], methods=["PATCH"], keys=["key_a"], retry_after=7)

    refused = sandbox.http.patch(f"/update-phone-number/{US}", json={"nickname": "new"}, headers=a)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert sandbox.http.get(f"/get-phone-number/{US}", headers=a).status_code == 200
    assert sandbox.http.patch(f"/update-phone-number/{US}", json={"nickname": "new"}, headers=b).status_code == 200


def test_tells_what_became_of_every_request(sandbox: Sandbox) -> None:
    before = max([entry["n"] for entry in sandbox.get("requests")], default=0)
    sandbox.http.get(f"/get-phone-number/{US}")
    sandbox.http.patch(f"/update-phone-number/{US}", json={"nickname": "new"})
    inject(sandbox, "noop_200")
    sandbox.http.patch(f"/update-phone-number/{US}", json={"nickname": "newer"})

    told = sandbox.get("requests", after=before)
    change = sandbox.get("log")[-1]["n"]
    assert [(entry["method"], entry["status"], entry["fault"], entry["change"]) for entry in told] == [
        ("GET", 200, None, None),
        ("PATCH", 200, None, change),
        ("PATCH", None, "noop_200", None),
    ]
    assert all(entry["at"] <= entry["done_at"] for entry in told)
