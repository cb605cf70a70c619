"""The order in which the console comes up, stays up and goes down. Knows each process by name and command."""

import hashlib
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from fraudconsole.env import DEFAULT_WEB_THREADS, PROJECT_ROOT, Environment, embedded_socket
from fraudconsole.launcher import Refusal, store
from fraudconsole.launcher.family import Child, Family, write_whole
from fraudconsole.launcher.preflight import Plan

WEB_THREADS = Environment.load().number("WEB_THREADS", DEFAULT_WEB_THREADS)
# One worker has nobody to gossip with.
WORKER = (
    *(sys.executable, "-m", "celery", "-A", "fraudconsole.celery", "worker", "--loglevel", "INFO"),
    *("-P", "threads", "-c", "8", "--without-gossip", "--without-mingle"),
)
BEAT = (sys.executable, "-m", "celery", "-A", "fraudconsole.beat", "beat", "--pidfile=", "--loglevel", "WARNING")
START_SECONDS = 120
TICK_SECONDS = 0.1
# Who goes first: nobody new is let in, nothing new is asked for, then the work, then what the work needs.
GENERATIONS = (("seed_demo", "migrate", "web", "beat"), ("worker",), ("sandbox",), ("valkey",))
DATABASE_NAME = "fraudconsole.sqlite3"
DISK_FULL_WORDS = ("No space left on device", "disk is full", "disk I/O error")


class Ended(Exception):
    """The person, or the process that started this one, wants it to end."""


@dataclass
class Wishes:
    """What signals and the parent's death ask for. A flag, since a handler may run anywhere."""

    parent: int | None
    asked: int = 0

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1

    def check(self) -> None:
        if self.asked or (self.parent is not None and os.getppid() != self.parent):
            raise Ended

    def are_impatient(self) -> bool:
        return self.asked > 1


class Sequence:
    def __init__(self, plan: Plan, values: dict[str, str], wishes: Wishes) -> None:
        self.plan, self.values, self.wishes = plan, values, wishes
        self.socket = embedded_socket(plan.data)
        self.family = Family(plan.data / "logs", plan.data / "launcher.json", _child_environment(plan))

    # --- Up ---------------------------------------------------------------------------------------

    def bring_up(self) -> None:
        """Everything that the page needs, then everything that it does not wait for."""
        if self.plan.own_store:
            self._start_store()
        if self.plan.has_sandbox:
            self._start_sandbox()
        self._migrate()
        self.family.start("web", self._web_command())
        self.wait_for(lambda: page_answers(self.plan.port), "the page")
        self.family.start("worker", WORKER)
        (self.plan.data / "beat").mkdir(exist_ok=True)
        self.family.start("beat", [*BEAT, "-s", str(self.plan.data / "beat" / "schedule")])
        if self.plan.has_sandbox:
            self.wait_for(lambda: accepts(self.plan.sandbox_port), "the sandbox")

    def seed(self) -> None:
        """The demo's rows, while the page already answers. Its progress bar is shown."""
        self.family.start("seed_demo", manage("seed_demo"), shown=True)

    def _start_store(self) -> None:
        directory = self.plan.data / "valkey"
        child = self.family.start("valkey", store.command(self.socket, directory))
        deadline = time.monotonic() + START_SECONDS
        while not store.answers(self.socket):
            if not child.is_alive() and any(directory.iterdir()) and not is_disk_full(child):
                aside = store.set_aside(directory)
                say(f"The embedded store could not read its data, now kept in {aside}; it starts empty.")
                child = self.family.start("valkey", store.command(self.socket, directory))
            self._require_alive()
            if time.monotonic() > deadline:
                raise Refusal(f"The embedded store does not answer.\n{child.last_lines()}")
            self._pause()

    def _start_sandbox(self) -> None:
        port, directory = str(self.plan.sandbox_port), self.plan.data / "sandbox"
        directory.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "fraudconsole.sandbox", "--port", port, "--data", str(directory)]
        key = os.environ.get("SANDBOX_API_KEY") or self.values["SANDBOX_API_KEY"]
        self.family.start("sandbox", command, environment={"SANDBOX_API_KEY": key})

    def _migrate(self) -> None:
        """Bring the tables up to date; nothing at all when this database has seen just these migrations."""
        stamp = self.plan.data / "migrated"
        if self.plan.own_database and stamp.exists() and stamp.read_text() == self._migrations_fingerprint():
            return
        child = self.family.start("migrate", manage("migrate", "--noinput", "--verbosity", "0"))
        while child.is_alive():
            self._require_alive(exempt=child)
            self._pause()
        self.family.forget(child)
        if child.process.returncode != 0:
            raise Refusal(self._explain(child, "The database could not be brought up to date."))
        write_whole(stamp, self._migrations_fingerprint())

    def _migrations_fingerprint(self) -> str:
        database = self.plan.data / DATABASE_NAME
        digest = hashlib.sha256(str(database.stat().st_ino if database.exists() else None).encode())
        for path in [PROJECT_ROOT / "requirements.txt", *sorted(PROJECT_ROOT.glob("*/migrations/*.py"))]:
            digest.update(str(path.relative_to(PROJECT_ROOT)).encode() + path.read_bytes())
        return digest.hexdigest()

    def _web_command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "gunicorn", "fraudconsole.wsgi:application"),
            *("--bind", f"127.0.0.1:{self.plan.port}", "--worker-class", "gthread"),
            *(
                "--workers",
                "1",
                "--threads",
                str(WEB_THREADS),
                "--graceful-timeout",
                "3",
                "--keep-alive",  # longer than clients keep an idle connection, else some request meets a closed one
                "15",
                "--no-control-socket",
            ),
        ]

    # --- Waiting ----------------------------------------------------------------------------------

    def wait_for(self, is_ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            self._require_alive()
            if time.monotonic() > deadline:
                raise Refusal(f"After {START_SECONDS} seconds {what} does not answer. Logs: {self.family.logs}")
            self._pause()

    def _pause(self) -> None:
        self.wishes.check()
        time.sleep(TICK_SECONDS)

    def _require_alive(self, exempt: Child | None = None) -> None:
        """During the start whoever ends would end again, so the reason is shown at once."""
        for child in self.family.dead():
            if child is not exempt:
                raise Refusal(self._explain(child, f"{child.name} ended while starting."))

    def _explain(self, child: Child, sentence: str) -> str:
        if is_disk_full(child):
            return f"The disk of {self.plan.data} is full. Free some space and start again; no data is lost."
        return f"{sentence} The end of {child.log}:\n{child.last_lines()}"

    # --- Staying up -------------------------------------------------------------------------------

    def stay_up(self) -> None:
        """Until the person ends it. A process that ends by itself is started again and mentioned."""
        while True:
            self._pause()
            for child in self.family.dead():
                if child.name == "seed_demo":
                    self._see_off(child)
                    continue
                say(f"{child.name} ended by itself ({ended_how(child)}); starting it again. Log: {child.log}")
                if child.name == "valkey":
                    self.socket.unlink(missing_ok=True)
                self.family.start_again(child, time.monotonic())

    def _see_off(self, seed: Child) -> None:
        self.family.forget(seed)
        if seed.process.returncode != 0:
            say(f"The demo could not be seeded ({ended_how(seed)}); the console runs on without it.")

    # --- Down -------------------------------------------------------------------------------------

    def take_down(self) -> None:
        self.family.stop(GENERATIONS, self.wishes.are_impatient)
        if self.plan.own_store:
            store.remove_socket(self.socket)


def manage(*arguments: str) -> list[str]:
    return [sys.executable, str(PROJECT_ROOT / "manage.py"), *arguments]


def _child_environment(plan: Plan) -> dict[str, str]:
    """Secrets stay in embedded.env, which the settings read, and out of every process's environment."""
    return {
        **os.environ,
        "DATA_DIR": str(plan.data),
        # The web process shares them out, so it must know how many it has.
        "WEB_THREADS": str(WEB_THREADS),
        # glibc gives every thread an arena of its own; two are enough and save tens of megabytes.
        "MALLOC_ARENA_MAX": "2",
        # Celery would refuse to run as root, which is what a container has.
        "C_FORCE_ROOT": "1",
    }


def page_answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def is_disk_full(child: Child) -> bool:
    return any(word in child.last_lines() for word in DISK_FULL_WORDS)


def ended_how(child: Child) -> str:
    code = child.process.returncode
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def say(text: str) -> None:
    print(text, flush=True)
