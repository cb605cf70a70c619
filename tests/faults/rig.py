"""The whole console as processes that can be killed: database, Valkey, a sandbox UponAI, workers, beat, an editor."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import phonenumbers
import pytest

from fraudconsole.env import PROJECT_ROOT
from fraudconsole.launcher import store
from fraudconsole.launcher.family import Child, Family, end_with
from tests.servers import free_port

NIGHTLY = bool(os.environ.get("NIGHTLY"))
CONTROL_KEY = "key_sandbox"
START_SECONDS = 40
TICK_SECONDS = 0.05
WORKER = (
    *(sys.executable, "-m", "celery", "-A", "fraudconsole.celery", "worker", "-P", "threads", "-c", "8"),
    *("--without-gossip", "--without-mingle", "--loglevel", "INFO"),
)
CLOCK = "fraudconsole.beat" if NIGHTLY else "tests.faults.quick_beat"
BEAT = (sys.executable, "-m", "celery", "-A", CLOCK, "beat", "--pidfile=", "--loglevel", "WARNING")
once_is_enough = pytest.mark.skipif(
    bool(os.environ.get("DATABASE_URL")) and not NIGHTLY and not os.environ.get("EVERY_FAULT"),
    reason="says nothing about the database; a nightly run has it on both",
)
NUMBERS_OF_AN_AREA = 100
"""+1 … 555 0100 to 0199 are kept free for fiction."""


class Refused(Exception):
    """The editor's verb said no."""


class Died(Exception):
    """The editor is gone."""


def until(condition: Callable[[], Any], *, seconds: float, what: str) -> float:
    """Waits for what must come true; answers how long that took."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise AssertionError(f"After {seconds:.0f} s still not so: {what}")
        time.sleep(TICK_SECONDS)
    return time.monotonic() - started


def say(text: str) -> None:
    """A figure: shown with -s, and among what a failed test said."""
    print(f"  {text}", flush=True)


class Editor:
    """The process that edits; see `tests.faults.editor`."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.environment, self.log = environment, log
        self.seconds = 0.0
        """How long the last verb took."""
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.editor"],
                cwd=PROJECT_ROOT,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                preexec_fn=end_with(os.getpid(), signal.SIGKILL),
            )

    def ask(self, verb: str, workspace: int | None = None, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"verb": verb, "workspace": workspace, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise Died(self.log.read_text(errors="replace")[-2000:])
        answer = json.loads(line)
        self.seconds = answer["seconds"]
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["result"]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Rig:
    """Everything in a folder of its own. What is killed is started again by whoever killed it."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.socket = folder / "socket" / "valkey.sock"
        self.sandbox_port = free_port()
        self.sandbox_url = f"http://127.0.0.1:{self.sandbox_port}"
        environment = os.environ | {
            "DATA_DIR": str(folder),
            "DATABASE_URL": database_url,
            "REDIS_URL": f"unix://{self.socket}",
            "UPONAI_API_URL": self.sandbox_url,
            "SANDBOX_API_KEY": CONTROL_KEY,
        }
        self.family = Family(folder / "logs", folder / "processes.json", environment)
        self.workers: list[str] = []
        self._areas = _areas()
        self._keys: dict[str, list[str]] = {}
        self.http = httpx.Client(
            base_url=self.sandbox_url,
            headers={"Authorization": f"Bearer {CONTROL_KEY}"},
            timeout=30,
            trust_env=False,
        )
        self.editor = Editor(environment, folder / "logs" / "editor.log")

    # --- Processes

    def start(self) -> None:
        self.start_valkey()
        options = [f"--port={self.sandbox_port}", "--data", str(self.folder / "sandbox")]
        self.family.start("sandbox", [sys.executable, "-m", "fraudconsole.sandbox", *options])
        until(self._sandbox_answers, seconds=START_SECONDS, what="the sandbox answers")

    def stop(self) -> None:
        self.editor.stop()
        self.family.stop([list(self.workers)], is_impatient=lambda: True)

    def start_valkey(self) -> None:
        self.family.start("valkey", store.command(self.socket, self.folder / "valkey"))
        until(lambda: store.answers(self.socket), seconds=START_SECONDS, what="Valkey answers")

    def kill_valkey(self) -> None:
        """`kill -9`, and what it kept is gone as well."""
        self.family.children["valkey"].kill()
        for kept in sorted((self.folder / "valkey").rglob("*"), reverse=True):
            kept.unlink() if kept.is_file() else kept.rmdir()

    def flush_valkey(self) -> None:
        import redis

        with contextlib.suppress(redis.RedisError):
            redis.Redis(unix_socket_path=str(self.socket)).flushall()

    def start_worker(self, name: str) -> Child:
        if name not in self.workers:
            self.workers.append(name)
        return self.family.start(name, [*WORKER, "-n", f"{name}@rig"])

    def works(self, name: str) -> bool:
        """Whether it has begun to take work: to kill one that is still starting proves nothing."""
        child = self.family.children[name]
        return b"@rig ready." in child.log.read_bytes()[child.log_starts_at :]

    def start_beat(self, name: str = "beat") -> Child:
        return self.family.start(name, [*BEAT, "-s", str(self.folder / f"{name}-schedule")])

    def kill_worker(self, name: str) -> None:
        self.family.children[name].kill()
        self.start_worker(name)

    def ensure(self, *, workers: int = 2, beats: int = 1) -> None:
        """So many workers and beats, not more; those that run go on."""
        for name in [*self.workers]:
            if name not in _names("worker", workers):
                self._end(name)
                self.workers.remove(name)
        for name in [child for child in self.family.children if child.startswith("beat")]:
            if name not in _names("beat", beats):
                self._end(name)
        for name in _names("worker", workers):
            if not self._runs(name):
                self.start_worker(name)
        for name in _names("beat", beats):
            if not self._runs(name):
                self.start_beat(name)

    def _runs(self, name: str) -> bool:
        return name in self.family.children and self.family.children[name].is_alive()

    def _end(self, name: str) -> None:
        child = self.family.children[name]
        child.kill()
        self.family.forget(child)

    def words(self, name: str) -> str:
        return (self.folder / "logs" / f"{name}.log").read_text(errors="replace")

    # --- UponAI

    def _sandbox_answers(self) -> bool:
        try:
            return self.http.get("/sandbox/settings").is_success
        except httpx.TransportError:
            return False

    def get(self, path: str, **query: Any) -> Any:
        return self._answer(self.http.get(f"/sandbox/{path}", params=query))

    def post(self, path: str, **body: Any) -> Any:
        return self._answer(self.http.post(f"/sandbox/{path}", json=body))

    @staticmethod
    def _answer(response: httpx.Response) -> Any:
        assert response.is_success, response.text
        return response.json() if response.content else None

    def remote(self) -> dict[str, dict[str, Any]]:
        """The lists UponAI really has, past its doors: those may be under faults."""
        with contextlib.closing(sqlite3.connect(self.folder / "sandbox" / "sandbox.sqlite3")) as connection:
            rows = [json.loads(body) for (body,) in connection.execute("SELECT body FROM phone_numbers")]
        return {
            row["phone_number"]: {
                "inbound": row.get("allowed_inbound_country_list"),
                "outbound": row.get("allowed_outbound_country_list"),
            }
            for row in rows
        }

    def admit_keys(self, *refused: str) -> None:
        """UponAI knows the keys of all accounts of this rig, but for these."""
        keys = [key for key in self._keys if key not in refused]
        self.post("settings", api_keys=keys, accounts=self._keys)

    def rename_key(self, account: Account) -> None:
        """The account has another key from now on, and the console is given it."""
        owned = self._keys.pop(account.key)
        account.key = f"key_anew_{account.key[-3:]}"
        self._keys[account.key] = owned
        self.admit_keys()
        self.editor.ask("set_key", account.workspace, key=account.key)

    # --- Workspaces

    def found(
        self, slug: str, *, numbers: int, inbound: Sequence[str] = ("US",), requests_per_second: int = 50
    ) -> Account:
        """A workspace with an account of its own at UponAI, and its numbers brought here."""
        areas = [self._areas.pop() for _ in range(-(-numbers // NUMBERS_OF_AN_AREA))]
        e164s = [f"+1{area}55501{line:02d}" for area in areas for line in range(NUMBERS_OF_AN_AREA)][:numbers]
        key = f"key_of_{slug}_{areas[0]}"
        self._keys[key] = [f"+1{area}" for area in areas]
        self.admit_keys()
        at_first = {"allowed_inbound_country_list": [*inbound], "allowed_outbound_country_list": ["US"]}
        self.post("numbers", numbers=[{"phone_number": e164, **at_first} for e164 in e164s])
        workspace = self.editor.ask("found", slug=f"{slug}-{areas[0]}", key=key)
        self.editor.ask("set_budget", workspace, requests_per_second=requests_per_second)
        return Account(self, workspace, key, e164s)


class Account:
    """A workspace of the rig, what was edited in it, and what is to be seen of that at UponAI."""

    def __init__(self, rig: Rig, workspace: int, key: str, e164s: list[str]) -> None:
        self.rig, self.workspace, self.key, self.e164s = rig, workspace, key, e164s
        self.history: dict[str, list[tuple[int, Any, Any]]] = {e164: [] for e164 in e164s}
        self.edits = 0
        self.starts_after = max([entry["n"] for entry in rig.get("log")], default=0)
        self.do("bring")

    def do(self, verb: str, **arguments: Any) -> None:
        """One edit, and what it makes UponAI to have."""
        for e164, *wanted in self.rig.editor.ask(verb, self.workspace, **arguments):
            self.history[e164].append((wanted[0], whole(wanted[1]), whole(wanted[2])))
        self.edits += 1

    def local(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.rig.editor.ask("local", self.workspace)
        return rows

    def apart(self) -> list[dict[str, Any]]:
        """The numbers of which UponAI has something else than it is to have, or the console does not know it has."""
        remote = self.rig.remote()
        return [
            row | {"remote": remote[row["e164"]]}
            for row in self.local()
            if not same(row["lists"], remote[row["e164"]])
            or row["applied_generation"] != row["desired_generation"]
            or row["state"] != "synced"
        ]

    def _unsynced(self) -> int:
        """Asked first: to compare thousands of numbers all the time would cost what is measured."""
        return int(self.rig.editor.ask("unsynced", self.workspace))

    def until_equal(self, *, seconds: float, what: str) -> float:
        try:
            return until(lambda: not self._unsynced() and not self.apart(), seconds=seconds, what=what)
        except AssertionError as late:
            apart = self.apart()
            raise AssertionError(f"{late}: {len(apart)} numbers apart, such as {apart[:2]}") from None

    def lost(self) -> list[str]:
        """What the editor was told is done, and no row says so."""
        known = {row["e164"]: row["desired_generation"] for row in self.local()}
        return [e164 for e164, made in self.history.items() if made and known[e164] < made[-1][0]]

    def requests(self, after: int = 0) -> list[dict[str, Any]]:
        return [entry for entry in self.rig.get("requests", after=after) if entry["key"] == self.key[-4:]]


def same(wanted: dict[str, Any], shown: dict[str, Any]) -> bool:
    return all(whole(wanted[direction]) == whole(shown[direction]) for direction in ("inbound", "outbound"))


def whole(countries: list[str] | None) -> frozenset[str] | None:
    return None if not countries else frozenset(code.upper() for code in countries)


def _names(kind: str, count: int) -> list[str]:
    return [f"{kind}{number}" for number in range(1, count + 1)]


def _areas() -> list[int]:
    """Area codes of the United States, for numbers that are valid and fictional."""
    found = []
    for area in range(989, 200, -1):
        number = phonenumbers.parse(f"+1{area}5550100")
        if phonenumbers.is_valid_number(number) and phonenumbers.region_code_for_number(number) == "US":
            found.append(area)
    return found
