from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .conftest import PROJECT, US, Receiver, Sandbox, wait_for


def test_survives_being_killed(start_sandbox: Callable[..., Sandbox], receiver: Receiver) -> None:
    sandbox = start_sandbox("--call-seconds=3")
    sandbox.add_number()
    sandbox.put("settings", events_url=receiver.url, base_concurrency=7)
    sandbox.retell.phone_number.update(US, allowed_inbound_country_list=["US"])
    ongoing = sandbox.dial(idempotency_key="once")
    wait_for(lambda: sandbox.retell.call.retrieve(ongoing).call_status == "ongoing")
    wait_for(lambda: receiver.events() == ["call_started"])
    chat = sandbox.retell.chat.create(agent_id="agent_chat")
    wait_for(lambda: len(receiver.received) == 2)
    log = sandbox.get("log")

    sandbox.kill()
    sandbox.start()

    assert sandbox.retell.phone_number.retrieve(US).allowed_inbound_country_list == ["US"]
    assert sandbox.get("log") == log
    assert sandbox.retell.concurrency.retrieve().concurrency_limit == 7
    assert sandbox.retell.chat.retrieve(chat.chat_id).chat_status == "ongoing"
    assert sandbox.dial(idempotency_key="once") == ongoing
    assert sandbox.retell.call.retrieve(ongoing).call_status == "ongoing"
    # Its end stays where it was due, however long the sandbox was away.
    wait_for(lambda: sandbox.retell.call.retrieve(ongoing).call_status == "ended")
    assert sandbox.retell.call.retrieve(ongoing).duration_ms == 3000
    wait_for(lambda: "call_ended" in receiver.events())


def test_delivers_after_a_kill_what_was_waiting(start_sandbox: Callable[..., Sandbox], receiver: Receiver) -> None:
    sandbox = start_sandbox("--retry-seconds=60", f"--events-url={receiver.url}")
    receiver.answer = lambda count: (500, b"") if count == 1 else (204, b"")
    sandbox.retell.chat.create(agent_id="agent_chat")
    wait_for(lambda: sandbox.get("deliveries")[0]["attempts"])

    sandbox.kill()
    sandbox.start()

    wait_for(lambda: sandbox.get("deliveries")[0]["state"] == "delivered")
    assert receiver.events() == ["chat_started", "chat_started"]


def test_is_small_and_quick_to_start(start_sandbox: Callable[..., Sandbox]) -> None:
    started = time.monotonic()
    sandbox = start_sandbox()
    seconds = time.monotonic() - started

    status = Path(f"/proc/{sandbox.process.pid}/status").read_text()
    resident_kb = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    assert resident_kb < 60_000
    assert seconds < 5  # about 0.6 on an idle machine


def test_refuses_in_words_to_share_its_state_or_its_port(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> None:
    sandbox = start_sandbox()
    port = sandbox.url.rsplit(":", 1)[1]

    def attempt(*options: str) -> str:
        command = [sys.executable, "-m", "fraudconsole.sandbox", *options]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "Another sandbox is using" in attempt("--port=0", "--data", str(sandbox.directory))
    assert "cannot listen on" in attempt(f"--port={port}", "--data", str(tmp_path / "other"))
