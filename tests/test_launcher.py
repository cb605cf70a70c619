"""`make run` from the outside: what it says, what it starts, and that nothing of it stays."""

import ast
import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from fraudconsole import bootstrap, run
from fraudconsole.env import PROJECT_ROOT, embedded_socket, read_file
from fraudconsole.launcher import Refusal, family, first_start, preflight, store
from monitoring.demo import cast
from tests.run import FOREIGN_VARIABLES
from tests.servers import free_port

START_SECONDS = 60
STOP_SECONDS = 10
# Django alone takes seconds to load, several times over, on a machine that is busy with other tests.
pytestmark = pytest.mark.timeout(300)


# --- A fresh machine ------------------------------------------------------------------------------


def test_an_old_python_is_answered_with_a_sentence_and_a_command() -> None:
    sentence = bootstrap.refuse_old_python((3, 9), "/usr/bin/python3")

    assert "needs Python 3.11 or newer; the newest here is 3.9 (/usr/bin/python3). Install one: " in sentence


def test_a_python_that_is_new_enough_is_not_refused() -> None:
    assert bootstrap.refuse_old_python((3, 11), "/usr/bin/python3") is None


def test_the_bootstrap_is_written_so_that_an_old_python_can_read_it() -> None:
    tree = ast.parse(Path(bootstrap.__file__).read_text())

    too_new = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Starred, ast.Nonlocal)
    used = [node for node in ast.walk(tree) if isinstance(node, too_new)]
    hinted = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.returns]
    forwarded = [node for call in ast.walk(tree) if isinstance(call, ast.Call) for node in call.args]
    assert [node for node in used if node not in forwarded] == []
    assert hinted == []


def test_a_venv_module_without_ensurepip_is_answered_with_the_package_to_install(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\necho 3 12\n')
    python.chmod(0o755)

    with pytest.raises(bootstrap.Refusal, match=r"Python 3\.12 has no complete `venv` module\. Install it: "):
        bootstrap.require_venv_module(str(python))


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("error: client error (Connect)\n dns error: failed to lookup address", "index cannot be reached"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
    ],
)
def test_a_failed_installation_is_explained_in_one_sentence(output: str, words: str) -> None:
    explanation = bootstrap.explain(output, "otherwise")

    assert words in explanation
    assert "\n" not in explanation


# --- Before anything starts -----------------------------------------------------------------------


def plan(data: Path, **changes: int) -> preflight.Plan:
    usual = preflight.Plan(data, 8000, 8001, has_sandbox=True, has_demo=True, own_store=True, own_database=True)
    return replace(usual, **changes)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"PORT": "eighty"}, "PORT must be a whole number"),
        ({"SANDBOX_PORT": "70000"}, "SANDBOX_PORT must be between 1 and 65535, not 70000"),
        ({"PORT": "9000", "SANDBOX_PORT": "9000"}, "PORT and SANDBOX_PORT are both 9000"),
    ],
)
def test_a_port_that_cannot_be_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    monkeypatch.delenv("UPONAI_API_URL", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(Refusal, match=words):
        preflight.make_plan(no_demo=False)


def test_the_demo_is_left_out_when_the_person_chose_another_uponai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPONAI_API_URL", "https://api.uponai.com")

    assert not preflight.make_plan(no_demo=False).has_demo


def test_a_folder_that_cannot_be_made_is_refused_with_the_variable_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Refusal, match=r"cannot be written to .* DATA_DIR="):
        preflight.make_data_directory(tmp_path / "file" / "var")


def test_the_secrets_of_the_first_start_are_kept_and_only_the_addresses_follow(tmp_path: Path) -> None:
    first = first_start.prepare_environment(plan(tmp_path))
    second = first_start.prepare_environment(plan(tmp_path, port=8080, sandbox_port=8081))

    path = tmp_path / "embedded.env"
    changed = {name for name in second if second[name] != first[name]}
    assert changed == {"CONSOLE_URL", "UPONAI_API_URL"}
    assert second["UPONAI_API_URL"] == "http://127.0.0.1:8081"
    assert read_file(path) == second
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_address_that_is_printed_is_the_one_that_is_seeded() -> None:
    assert run.DEMO_EMAIL == cast.OWNER


def test_the_sandbox_is_forgotten_when_this_start_has_none(tmp_path: Path) -> None:
    first_start.prepare_environment(plan(tmp_path))
    first_start.prepare_environment(plan(tmp_path, has_sandbox=False))

    assert "UPONAI_API_URL" not in read_file(tmp_path / "embedded.env")


# --- Processes ------------------------------------------------------------------------------------


def test_what_a_killed_launcher_left_running_is_ended_by_the_next(tmp_path: Path) -> None:
    orphan = subprocess.Popen(["sleep", "300"], start_new_session=True)
    register = tmp_path / "launcher.json"
    register.write_text(json.dumps([{"name": "web", "pid": orphan.pid, "born": family.born(orphan.pid)}]))

    assert family.end_leftovers(register) == ["web"]
    assert orphan.wait(timeout=5) == -signal.SIGTERM
    assert not register.exists()


def test_a_stranger_with_the_number_of_an_old_process_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "300"], start_new_session=True)
    register = tmp_path / "launcher.json"
    register.write_text(json.dumps([{"name": "web", "pid": stranger.pid, "born": "long ago"}]))

    try:
        assert family.end_leftovers(register) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_process_that_keeps_ending_is_given_up_with_the_end_of_its_log(tmp_path: Path) -> None:
    children = family.Family(tmp_path / "logs", tmp_path / "launcher.json", os.environ)
    children.start("web", ["sh", "-c", "echo no such module; exit 3"])

    for second in range(3):
        children.children["web"].process.wait()
        children.start_again(children.children["web"], float(second))
    children.children["web"].process.wait()

    with pytest.raises(Refusal, match=r"web ended 4 times within a minute(.|\n)*no such module"):
        children.start_again(children.children["web"], 3.0)
    children.stop([], lambda: False)


def test_a_process_that_is_killed_from_outside_takes_nobody_with_it(tmp_path: Path) -> None:
    children = family.Family(tmp_path / "logs", tmp_path / "launcher.json", os.environ)
    children.start("worker", ["sleep", "60"])

    for second in range(6):
        children.children["worker"].kill()
        children.start_again(children.children["worker"], float(second))

    assert children.children["worker"].is_alive()
    children.stop([], lambda: False)


def test_a_process_that_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "STOP_SECONDS", 0.5)
    children = family.Family(tmp_path / "logs", tmp_path / "launcher.json", os.environ)
    stubborn = children.start("web", ["sh", "-c", "trap '' TERM; echo ready; while true; do sleep 1; done"])
    wait_until(lambda: "ready" in stubborn.last_lines(), 5)

    children.stop([("web",)], lambda: False)

    assert stubborn.process.returncode == -signal.SIGKILL


# --- The whole console ----------------------------------------------------------------------------


class Console:
    """One real start with its own data directory and ports."""

    def __init__(self, data: Path, command: Sequence[str], port: int, sandbox_port: int) -> None:
        self.data, self.port = data, port
        environment = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
        chosen = {"DATA_DIR": str(data), "PORT": str(port), "SANDBOX_PORT": str(sandbox_port)}
        self.output = data.with_name(f"{data.name}.output")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=PROJECT_ROOT,
                env=environment | chosen,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def wait_for_words(self, words: str, seconds: float) -> None:
        wait_until(lambda: words in self.said() or self.process.poll() is not None, seconds)
        assert words in self.said(), self.said()

    def wait_for_page(self, seconds: float) -> None:
        self.wait_for_words("Ctrl-C", seconds)
        assert self.status_of("/admin/login/") == http.HTTPStatus.OK

    def status_of(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return int(connection.getresponse().status)

    def pid_of(self, name: str) -> int:
        rows = json.loads((self.data / "launcher.json").read_text())
        return next(row["pid"] for row in rows if row["name"] == name)

    def processes(self) -> list[str]:
        """Every process of this machine that this data directory names: in its environment, or on its socket."""
        marker, store = f"DATA_DIR={self.data}".encode(), str(embedded_socket(self.data)).encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes()
                # Valkey writes its title over its environment.
                if marker in (process / "environ").read_bytes().split(b"\0") or store in command:
                    found.append(command.replace(b"\0", b" ").decode())
        return found

    def interrupt(self) -> int:
        """What Ctrl-C does: the whole foreground group is told."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=STOP_SECONDS)


LAUNCHER = (sys.executable, "-m", "fraudconsole.run", "--no-demo")
needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds processes in /proc")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Console]]:
    consoles: list[Console] = []
    port, sandbox_port = free_port(), free_port()

    def start_one(*command: str, **changes: int) -> Console:
        ports = {"port": port, "sandbox_port": sandbox_port, **changes}
        consoles.append(Console(tmp_path / "var", command or LAUNCHER, **ports))
        return consoles[-1]

    yield start_one
    for console in consoles:
        if console.process.poll() is None:
            console.process.kill()
            console.process.wait()
        wait_until(lambda console=console: not console.processes(), STOP_SECONDS)
        store.remove_socket(embedded_socket(console.data))


def wait_until(is_true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_true() and time.monotonic() < deadline:
        time.sleep(0.05)


@needs_proc
@pytest.mark.launcher
def test_a_console_answers_leaves_nothing_after_ctrl_c_and_finds_its_data_again(
    start: Callable[..., Console],
) -> None:
    first = start()
    first.wait_for_page(START_SECONDS)
    socket_path = embedded_socket(first.data)
    redis.Redis(unix_socket_path=str(socket_path)).set("kept", "yes")
    secrets = read_file(first.data / "embedded.env")
    with contextlib.closing(sqlite3.connect(first.data / "fraudconsole.sqlite3")) as database:
        migrations = database.execute("SELECT id, applied FROM django_migrations").fetchall()
    assert first.interrupt() == 0
    assert first.processes() == []
    assert not socket_path.exists()

    second = start()
    second.wait_for_page(START_SECONDS)
    assert redis.Redis(unix_socket_path=str(socket_path)).get("kept") == b"yes"
    assert read_file(second.data / "embedded.env") == secrets
    with contextlib.closing(sqlite3.connect(second.data / "fraudconsole.sqlite3")) as database:
        assert database.execute("SELECT id, applied FROM django_migrations").fetchall() == migrations

    second.process.kill()
    wait_until(lambda: not second.processes(), STOP_SECONDS)
    assert second.processes() == []


@needs_proc
@pytest.mark.launcher
def test_a_running_console_refuses_a_second_and_replaces_a_lost_process(
    start: Callable[..., Console],
) -> None:
    running = start()
    running.wait_for_page(START_SECONDS)

    second = start()
    assert second.process.wait(timeout=10) == 1
    assert f"already runs at http://127.0.0.1:{running.port}" in second.said()

    lost = running.pid_of("worker")
    os.kill(lost, signal.SIGKILL)
    wait_until(lambda: running.pid_of("worker") != lost, 10)
    assert family.born(running.pid_of("worker"))
    assert running.status_of("/healthz") == http.HTTPStatus.OK


@needs_proc
@pytest.mark.launcher
def test_nothing_of_make_run_outlives_a_killed_make(start: Callable[..., Console]) -> None:
    console = start("make", "run", "ARGS=--no-demo")
    console.wait_for_page(START_SECONDS)
    running = "\n".join(console.processes())
    assert all(name in running for name in ("make run", "valkey", "gunicorn", "worker", "beat"))

    console.process.kill()

    wait_until(lambda: not console.processes(), STOP_SECONDS)
    assert console.processes() == []


@pytest.mark.launcher
def test_a_taken_port_is_answered_with_the_variable_to_set(start: Callable[..., Console]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        console = start(port=port)

        assert console.process.wait(timeout=10) == 1
    assert f"Port {port} is already used by another program. Choose a free one: PORT=" in console.said()


@pytest.mark.launcher
def test_too_little_space_is_answered_before_anything_is_written(start: Callable[..., Console]) -> None:
    console = start(*LAUNCHER, "--minimum-free-mb", "999999999")

    assert console.process.wait(timeout=10) == 1
    assert "fraudconsole needs 999999999 MB. Free some space" in console.said()
    assert not (console.data / "fraudconsole.sqlite3").exists()
