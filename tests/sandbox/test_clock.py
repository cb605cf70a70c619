from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import GB_PEER, PROJECT, US_PEER, Receiver, Sandbox, wait_for


def ended(sandbox: Sandbox, call_id: str) -> Any:
    def over() -> Any:
        call = sandbox.retell.call.retrieve(call_id)
        return call if call.call_status == "ended" else None

    return wait_for(over)


def test_a_long_call_is_soon_over_on_a_fast_clock_and_says_how_long_it_lasted(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    sandbox.put("settings", events_url=receiver.url, call_seconds=600)
    before = sandbox.get("clock")["now"]
    assert sandbox.post("clock", speed=600)["speed"] == 600

    over = ended(sandbox, sandbox.dial(GB_PEER))

    assert over.duration_ms == over.end_timestamp - over.start_timestamp == 600_000
    assert over.start_timestamp > before
    # Ten minutes to GB at ten cents each.
    assert over.call_cost.combined_cost == pytest.approx(100, abs=1)
    wait_for(lambda: sorted(receiver.events()) == ["call_analyzed", "call_ended", "call_started"])


def test_goes_on_from_where_it_is_when_its_speed_changes(sandbox: Sandbox) -> None:
    start = sandbox.get("clock")["now"]
    sandbox.post("clock", speed=10_000)
    wait_for(lambda: sandbox.get("clock")["now"] > start + 600_000)

    slow = sandbox.post("clock", speed=1)
    by_settings = sandbox.put("settings", clock_speed=None)

    assert slow["speed"] == 1
    assert slow["now"] > start + 600_000
    assert by_settings["now"] >= slow["now"]
    sandbox.post("reset")
    assert sandbox.get("clock")["now"] < start + 600_000


def test_keeps_its_time_through_a_kill(start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--clock-speed=10000", "--call-seconds=3000")
    sandbox.add_number()
    call_id = sandbox.dial()
    before = sandbox.get("clock")

    sandbox.kill()
    sandbox.start()

    assert sandbox.get("clock")["now"] >= before["now"]
    assert ended(sandbox, call_id).duration_ms == 3_000_000


def test_tries_a_webhook_again_after_a_real_pause(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.put("settings", events_url=receiver.url, clock_speed=10_000, retry_seconds=0.2)
    receiver.answer = lambda count: (500, b"") if count == 1 else (204, b"")

    sandbox.post("events", body={"event": "transfer_started"})

    [sent] = wait_for(lambda: [one for one in sandbox.get("deliveries") if one["state"] == "delivered"])
    first, second = sent["attempts"]
    assert second["time"] - first["time"] >= 0.2 * 1000 * 10_000


@pytest.mark.parametrize("speed", [0, -1, "fast", True, 1e9, None])
def test_refuses_a_speed_that_is_none(sandbox: Sandbox, speed: object) -> None:
    answer = sandbox.http.post("/sandbox/clock", json={"speed": speed})

    assert answer.status_code == 400
    assert sandbox.get("clock")["speed"] == 1


def test_refuses_a_speed_of_nought_on_the_command_line() -> None:
    command = [sys.executable, "-m", "fraudconsole.sandbox", "--data=nowhere", "--clock-speed=0"]

    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode == 2
    assert "--clock-speed: must be between" in done.stderr


def test_the_other_sides_number_says_how_long_a_call_lasts(sandbox: Sandbox) -> None:
    sandbox.put(
        "settings",
        clock_speed=600,
        call_seconds=50,
        call_seconds_by_prefix={"+4474": [40, 41, 42, 43], GB_PEER: [300], "+44": [7]},
    )
    cap = {"agent": {"max_call_duration_ms": 60_000}}
    by_number = [sandbox.dial("+447400123457") for _ in range(2)]
    dialled = [sandbox.dial(GB_PEER), sandbox.dial(GB_PEER, agent_override=cap), sandbox.dial(US_PEER)]

    seconds = [ended(sandbox, call_id).duration_ms / 1000 for call_id in dialled]
    of_one_number = {ended(sandbox, call_id).duration_ms / 1000 for call_id in by_number}

    assert seconds == [300, 60, 50]
    assert len(of_one_number) == 1
    assert of_one_number <= {40, 41, 42, 43}


@pytest.mark.parametrize("seconds", [[], [-1], 30, ["30"]])
def test_refuses_lengths_that_are_none(sandbox: Sandbox, seconds: object) -> None:
    answer = sandbox.http.put("/sandbox/settings", json={"call_seconds_by_prefix": {"+1": seconds}})

    assert answer.status_code == 400
    assert "call_seconds_by_prefix.+1" in answer.json()["message"]
