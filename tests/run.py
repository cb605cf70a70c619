"""`python -m tests.run`: what `make test` starts: servers, pytest on PostgreSQL, then pytest on SQLite."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from fraudconsole.env import PROJECT_ROOT
from fraudconsole.launcher import Refusal
from fraudconsole.launcher.family import end_with
from tests import servers

# These bring up a console of their own, on SQLite, so a second time would say nothing new.
NOT_ON_POSTGRESQL = "not browser and not launcher"
NO_TESTS_COLLECTED = 5
MOST_PROCESSES = 4
"""Each has a store, a database and now and then a console of its own."""
# Choices of the person at the keyboard, which must not leak into tests.
FOREIGN_VARIABLES = (
    *(
        "DATABASE_URL",
        "REDIS_URL",
        "DATA_DIR",
        "PORT",
        "SANDBOX_PORT",
        "SECRET_KEY",
        "ENCRYPTION_KEYS",
        "DEBUG",
    ),
    *("ALLOWED_HOSTS", "CONSOLE_URL", "UPONAI_API_URL", "SANDBOX_API_KEY", "TRUSTED_PROXIES", "TIME_ZONE"),
    *("DEMO_PASSWORD", "UPONAI_SIGNATURE_HEADERS", "LOG_LEVEL", "CAPTCHA_VERIFY_URLS", "WEB_THREADS"),
    *("DOCUMENTS_DIR", "DOCUMENT_SCANNER"),
)


def main(arguments: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
    notes: list[str] = []
    try:
        with tempfile.TemporaryDirectory(prefix="fraudconsole-test-") as data, servers.valkey() as redis_url:
            environment |= {"REDIS_URL": redis_url, "DATA_DIR": data} | _browser(notes)
            on_postgresql = _run_on_postgresql(arguments, environment, notes)
            environment["TEST_NOTES"] = "\n".join(notes)
            if not arguments and any(note.startswith("PostgreSQL: ") for note in notes):
                environment["SAID_ON_POSTGRESQL"] = "1"
            say("\n--- SQLite: everything, but what one database says for both")
            on_sqlite = _pytest(arguments, environment)
            return on_sqlite or on_postgresql
    except (Refusal, servers.Missing) as problem:
        print(f"The tests cannot run: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _browser(notes: list[str]) -> dict[str, str]:
    try:
        return {"CHROMIUM": servers.chromium()}
    except servers.Missing as problem:
        notes.append(_loud(f"The browser tests were NOT RUN: {problem}."))
        return {}


def _run_on_postgresql(arguments: Sequence[str], environment: dict[str, str], notes: list[str]) -> int:
    started = time.monotonic()
    try:
        with servers.postgresql() as url:
            say("--- PostgreSQL: whatever touches the database, but the browser and the launcher")
            code = _pytest(_restricted(arguments), environment | {"DATABASE_URL": url, "ONLY_DATABASE_TESTS": "1"})
    except servers.Missing as problem:
        notes.append(_loud(f"The PostgreSQL part was NOT RUN: {problem}."))
        return 0
    # A choice of tests may leave nothing for this part.
    if code == NO_TESTS_COLLECTED:
        notes.append("PostgreSQL: no test of this choice concerns it.")
        return 0
    outcome = "passed" if code == 0 else f"FAILED (exit code {code}; see its report above)"
    notes.append(f"PostgreSQL: {outcome} in {time.monotonic() - started:.0f} s.")
    return code


def _restricted(arguments: Sequence[str]) -> list[str]:
    """The person's arguments, with their choice of markers narrowed and not replaced."""
    restricted = list(arguments)
    if "-m" in restricted[:-1]:
        position = restricted.index("-m") + 1
        restricted[position] = f"({restricted[position]}) and {NOT_ON_POSTGRESQL}"
        return restricted
    return [*restricted, "-m", NOT_ON_POSTGRESQL]


def _pytest(arguments: Sequence[str], environment: dict[str, str]) -> int:
    command = [sys.executable, "-m", "pytest", "-p", "tests.notes", *_at_once(arguments), *arguments]
    process = subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        preexec_fn=end_with(os.getpid()),
    )
    try:
        return process.wait()
    except BaseException:
        # Ctrl-C reached pytest as well; it ends by itself and closes what it opened.
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        process.wait()
        raise


def _at_once(arguments: Sequence[str]) -> list[str]:
    """As many processes as there are processors, unless somebody looks closely: with -s, -x, --pdb, --lf or own -n."""
    if any(argument in ("-s", "-x", "--pdb", "--lf", "-n") or argument.startswith("-n") for argument in arguments):
        return []
    processes = str(min(os.cpu_count() or 1, MOST_PROCESSES))
    return ["-n", processes, "-p", "tests.at_once", "--dist", "loadscope", "--no-loadscope-reorder"]


def _loud(sentence: str) -> str:
    bar = "!" * min(len(sentence), 100)
    say(f"\n{bar}\n{sentence}\n{bar}\n")
    return sentence


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
