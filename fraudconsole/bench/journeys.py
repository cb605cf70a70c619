"""How long people wait: from an edit until UponAI has it, from a call until it is seen. On a whole running console."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from fraudconsole.bench import callers, scratch
from fraudconsole.bench.measuring import Figures, Size, Skipped, Table
from fraudconsole.bench.scratch import Place, free_port
from fraudconsole.env import PROJECT_ROOT, read_file
from fraudconsole.launcher import sequence
from policies.uponai import signature

START_SECONDS = 240
PATIENCE_SECONDS = 60
TICK_SECONDS = 0.01
OWN_NUMBER = "+14155550100"
JAMAICA = "+1876"
WITHOUT, WITH = ["US", "CA"], ["US", "CA", "JM"]
FURTHER_PROCESSES = 3  # beside the launcher's own web server

# Nobody calls so often that a limit would speak; 10,000 is more than all journeys together need.
_callers = (f"{JAMAICA}555{number:04}" for number in itertools.cycle(range(10_000)))


@dataclass(frozen=True, slots=True)
class Running:
    """A console with its demo, the sandbox that plays UponAI, and further web servers of the same console."""

    console: httpx.Client
    sandbox: httpx.Client
    webhook_key: str
    processes: tuple[httpx.Client, ...]

    def edit(self, countries: list[str], *, wait: bool) -> dict[str, object]:
        parameters = {"wait": "synced"} if wait else {}
        body = {"allowed_inbound_country_list": countries}
        answer = self.console.patch(f"phone-numbers/{OWN_NUMBER}/", params=parameters, json=body)
        answer.raise_for_status()
        return dict(answer.json()["sync"])

    def call(self) -> tuple[bool, str]:
        """Whether the call was let in, and its id."""
        numbers = {"from_number": next(_callers), "to_number": OWN_NUMBER}
        answer = self.sandbox.post("sandbox/inbound-call", json=numbers)
        answer.raise_for_status()
        return answer.json()["outcome"] != "rejected", answer.headers["X-Call-Id"]

    def shows(self, call: str) -> bool:
        answer = self.console.get("decisions/", params={"phone_number": OWN_NUMBER})
        answer.raise_for_status()
        return any(decision["call_reference"] == call for decision in answer.json()["results"])

    def hold(self) -> str:
        """Holds Jamaica's numbers; answers the hold's address."""
        ending = datetime.now(UTC) + timedelta(hours=1)
        wanted = {"scope": "prefix", "value": JAMAICA, "direction": "inbound", "reason": "measured"}
        answer = self.console.post("holds/", json=wanted | {"expires_at": ending.isoformat()})
        answer.raise_for_status()
        return f"holds/{answer.json()['id']}/"

    def are_let_in(self, path: str) -> list[bool]:
        """What each process says of a call from Jamaica, asked one after another."""
        return [self._is_let_in(process, path) for process in self.processes]

    def _is_let_in(self, process: httpx.Client, path: str) -> bool:
        body = callers.webhook_body(next(_callers), OWN_NUMBER)
        signed = signature.sign(body=body, secret=self.webhook_key, now_ms=time.time_ns() // 1_000_000)
        headers = {"Content-Type": "application/json", "X-UponAI-Signature": signed}
        answer = process.post(path, content=body, headers=headers)
        answer.raise_for_status()
        return "reject" not in answer.json()["call_inbound"]

    def webhook_path(self) -> str:
        number = self.sandbox.get(f"get-phone-number/{OWN_NUMBER}").json()
        return urlsplit(number["inbound_webhook_url"]).path


def measure(place: Place, size: Size, chance: random.Random) -> list[Table]:
    with _running_console() as running:
        journeys: dict[str, Callable[[Running, int], float]] = {
            "edit by REST → UponAI was seen to have it": _edit_to_synced,
            "edit answered → the next call is judged by it": _edit_to_obeyed,
            f"edit answered → all {FURTHER_PROCESSES + 1} processes judge by it": _edit_to_every_process,
            f"hold or its lifting answered → all {FURTHER_PROCESSES + 1} processes obey": _hold_to_every_process,
            "call answered → its decision is listed": _call_to_listed,
        }
        table = Table("Journeys through a running console", ("", "median s", "shortest s", "longest s", "times"))
        for name, journey in journeys.items():
            found = Figures([journey(running, turn) for turn in range(size.repetitions)])
            shown = (f"{seconds:.2f}" for seconds in (found.median, min(found.values), max(found.values)))
            table.rows.append((name, *shown, str(len(found.values))))
    table.notes.append(
        "The console with its demo, embedded store and sandbox, one after another, with nobody else at it. "
        "The second includes the call itself, on its way through the sandbox; for the third and the fourth every "
        "process is asked in turn, until the last one of them obeys (aim: 1 s). The last waits on the writer, which "
        "comes every second."
    )
    return [table]


def _edit_to_synced(running: Running, turn: int) -> float:
    started = time.perf_counter()
    sync = running.edit(WITH if turn % 2 else WITHOUT, wait=True)
    if sync["state"] != "synced":
        raise Skipped(f"The edit is {sync['state']} instead of synced.")
    return time.perf_counter() - started


def _edit_to_obeyed(running: Running, turn: int) -> float:
    """The sandbox has the same list, so a call that is let in passed both."""
    wanted = bool(turn % 2)
    running.edit(WITHOUT if wanted else WITH, wait=True)
    running.edit(WITH if wanted else WITHOUT, wait=False)
    return _until(lambda: running.call()[0] is wanted)


def _edit_to_every_process(running: Running, turn: int) -> float:
    wanted, path = bool(turn % 2), running.webhook_path()
    running.edit(WITHOUT if wanted else WITH, wait=True)
    _until(lambda: running.are_let_in(path) == [not wanted] * len(running.processes))
    running.edit(WITH if wanted else WITHOUT, wait=False)
    return _until(lambda: running.are_let_in(path) == [wanted] * len(running.processes))


def _hold_to_every_process(running: Running, turn: int) -> float:
    path, everywhere = running.webhook_path(), len(running.processes)
    running.edit(WITH, wait=True)
    _until(lambda: running.are_let_in(path) == [True] * everywhere)
    hold = running.hold()
    imposed = _until(lambda: running.are_let_in(path) == [False] * everywhere)
    running.console.delete(hold).raise_for_status()
    return max(imposed, _until(lambda: running.are_let_in(path) == [True] * everywhere))


def _call_to_listed(running: Running, turn: int) -> float:
    # Not in step with the writer's second.
    time.sleep(turn * 0.13 % 1)
    _, call = running.call()
    return _until(lambda: running.shows(call))


def _until(is_so: Callable[[], bool]) -> float:
    started = time.perf_counter()
    while not is_so():
        if time.perf_counter() - started > PATIENCE_SECONDS:
            raise Skipped(f"Nothing came of it in {PATIENCE_SECONDS} s.")
        time.sleep(TICK_SECONDS)
    return time.perf_counter() - started


@contextmanager
def _running_console() -> Iterator[Running]:
    """`make run` in a folder of its own, from the first start on."""
    with tempfile.TemporaryDirectory(prefix="fraudconsole-bench-") as folder:
        port, sandbox_port = free_port(), free_port()
        names = {"DATA_DIR": folder, "PORT": str(port), "SANDBOX_PORT": str(sandbox_port)}
        environment = {name: value for name, value in os.environ.items() if name not in scratch.OURS} | names
        log = Path(folder) / "launcher.log"
        with scratch.process([sys.executable, "-m", "fraudconsole.run"], log, environment):
            _wait_for_demo(Path(folder), log)
            token = _token(environment)
            key = read_file(Path(folder) / "embedded.env")["SANDBOX_API_KEY"]
            with ExitStack() as ending:
                console = ending.enter_context(_client(f"http://127.0.0.1:{port}/api/v1/", token))
                sandbox = ending.enter_context(_client(f"http://127.0.0.1:{sandbox_port}/", key))
                ports = [port, *(_further_process(ending, Path(folder), environment) for _ in range(FURTHER_PROCESSES))]
                processes = [ending.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{each}/")) for each in ports]
                yield Running(console, sandbox, key, tuple(processes))


def _further_process(ending: ExitStack, folder: Path, environment: Mapping[str, str]) -> int:
    """One more web server of the same console. Like the launcher's, it reads the secrets in the folder."""
    port = free_port()
    served = ["fraudconsole.wsgi:application", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    threads = ["--worker-class", "gthread", "--workers", "1", "--threads", str(sequence.WEB_THREADS)]
    command = [sys.executable, "-m", "gunicorn", *served, *threads]
    own = {**environment, "DJANGO_SETTINGS_MODULE": "fraudconsole.settings"}
    ending.enter_context(scratch.process(command, folder / f"web-{port}.log", own))
    deadline = time.monotonic() + START_SECONDS
    while not sequence.page_answers(port):
        if time.monotonic() > deadline:
            raise Skipped(f"A further web server did not come up on {port}.")
        time.sleep(0.1)
    return port


def _client(url: str, bearer: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {bearer}"}, timeout=PATIENCE_SECONDS)


def _wait_for_demo(folder: Path, log: Path) -> None:
    """Until the page answers and seeding is over: the launcher's register names who still runs."""
    deadline = time.monotonic() + START_SECONDS
    has_begun = False
    while True:
        register = folder / "launcher.json"
        names = {row["name"] for row in json.loads(register.read_text())} if register.exists() else set()
        has_begun = has_begun or "seed_demo" in names
        if has_begun and "seed_demo" not in names:
            return
        if time.monotonic() > deadline:
            raise Skipped(f"The demo did not come up: {log.read_text(errors='replace')[-1000:]}")
        time.sleep(0.2)


def _token(environment: dict[str, str]) -> str:
    command = [sys.executable, str(PROJECT_ROOT / "manage.py"), "create_token", "--workspace", "demo", "--scope", "*"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    [token] = re.findall(r"^fc_\w+$", done.stdout, re.MULTILINE)
    return str(token)
