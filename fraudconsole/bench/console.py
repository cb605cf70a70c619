"""A console of the measurements' own, whole: web server, worker, clock, and beside it a sandbox and a verifier."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from django.db import connection

from accounts import keys, workspaces
from accounts.models import PublicKey, Workspace
from accounts.scoping import scoped
from fraudconsole.bench import scratch
from fraudconsole.bench.measuring import Skipped
from fraudconsole.bench.scratch import Place, free_port
from fraudconsole.bench.verifier import HOST
from fraudconsole.launcher import sequence
from policies import actions
from policies.gate import store
from policies.models import CountryPolicy, PhoneNumber

START_SECONDS = 60
TICK_SECONDS = 0.1
CAPTCHA_SECRET = "a secret that the verifier does not look at"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Console:
    """Where its parts answer."""

    url: str
    sandbox: httpx.Client

    def control(self, path: str, method: str = "POST", **body: Any) -> dict[str, Any]:
        answer = self.sandbox.request(method, f"sandbox/{path}", json=body)
        answer.raise_for_status()
        return dict(answer.json())


@dataclass(frozen=True, slots=True)
class Customer:
    """A workspace with one number and one key on its web page."""

    workspace: Workspace
    phone_number: str
    agent: str
    key: PublicKey


@contextlib.contextmanager
def running(place: Place, *, works: bool = True, environment: Mapping[str, str] | None = None) -> Iterator[Console]:
    """The console as `make run` starts it, without the demo. `works`: with worker and clock."""
    port, sandbox_port, verifier_port = free_port(), free_port(), free_port()
    surroundings = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "fraudconsole.settings",
        "UPONAI_API_URL": f"http://127.0.0.1:{sandbox_port}",
        "SANDBOX_API_KEY": scratch.SECRET,
        "TRUSTED_PROXIES": "127.0.0.1/32",
        "CAPTCHA_VERIFY_URLS": f"http://127.0.0.1:{verifier_port}/siteverify",
        "LOG_LEVEL": "WARNING",
        "C_FORCE_ROOT": "1",
        **(environment or {}),
    }
    with contextlib.ExitStack() as ending:
        logs = Path(ending.enter_context(_folder(place, f"console-{port}")))
        programs: dict[str, list[str]] = {
            "sandbox": ["-m", "fraudconsole.sandbox", "--port", str(sandbox_port), "--data", str(logs / "sandbox")],
            "verifier": ["-m", "fraudconsole.bench.verifier", str(verifier_port)],
            "web": _web(port),
        }
        if works:
            programs["worker"] = list(sequence.WORKER[1:])
            programs["beat"] = [*sequence.BEAT[1:], "-s", str(logs / "schedule")]
        for name, arguments in programs.items():
            ending.enter_context(scratch.process([sys.executable, *arguments], logs / f"{name}.log", surroundings))
        for name, at in (("sandbox", sandbox_port), ("verifier", verifier_port)):
            _wait(lambda at=at: sequence.accepts(at), logs / f"{name}.log")
        _wait(lambda: sequence.page_answers(port), logs / "web.log")
        client = httpx.Client(
            base_url=f"http://127.0.0.1:{sandbox_port}/",
            headers={"Authorization": f"Bearer {scratch.SECRET}"},
            timeout=30,
        )
        yield Console(f"http://127.0.0.1:{port}", ending.enter_context(client))


def _web(port: int) -> list[str]:
    """As `make run` starts it."""
    options = ["--worker-class", "gthread", "--workers", "1", "--threads", str(sequence.WEB_THREADS)]
    served = ["-m", "gunicorn", "fraudconsole.wsgi:application", "--bind", f"127.0.0.1:{port}"]
    return [*served, *options, "--no-control-socket"]


@contextlib.contextmanager
def _folder(place: Place, name: str) -> Iterator[Path]:
    folder = place.directory / name
    folder.mkdir()
    yield folder


def _wait(is_ready: Any, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready():
        if time.monotonic() > deadline:
            raise Skipped(f"The console did not come up: {log.read_text(errors='replace')[-1000:]}")
        time.sleep(TICK_SECONDS)


def make_customer(
    *, slug: str, phone_number: str, countries: list[str], limits: Mapping[str, Any], now: datetime
) -> Customer:
    """Somebody's first day: a workspace, a number, a policy, and a key that asks for reCAPTCHA v3. No history."""
    workspace = workspaces.create_workspace(
        slug=slug, name=slug.title(), home_country="US", limits=dict(limits), acting_user=None, now=now
    )
    workspaces.set_uponai_key(workspace=workspace, key=scratch.SECRET, acting_user=None, now=now)
    rules = {"mode": "list", "countries": countries}
    policy: CountryPolicy = actions.create_country_policy(
        workspace_id=workspace.pk, name="Who may be called", inbound=rules, outbound=rules, acting_user=None, now=now
    )
    with scoped(workspace.pk):
        PhoneNumber.objects.create(workspace=workspace, e164=phone_number, policy=policy)
    agent = f"agent_{slug}"
    key = keys.mint_public_key(
        workspace=workspace,
        name="Website",
        domains=[HOST],
        channels=["phone_call"],
        phone_number=phone_number,
        agent=agent,
        captcha="recaptcha_v3",
        captcha_site_key="site-key",
        captcha_secret=CAPTCHA_SECRET,
        acting_user=None,
        now=now,
    )
    workspace.refresh_from_db()
    store.publish_version(workspace.pk, workspace.snapshot_version)
    connection.close()
    return Customer(workspace, phone_number, agent, key)
