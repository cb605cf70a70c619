"""A workspace whose number may dial, a backend's token, a web page's key, and a real UponAI sandbox behind them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from redis.exceptions import RedisError

from accounts import keys
from accounts.models import PublicKey, Workspace
from accounts.scoping import scoped
from policies.gate import snapshots
from policies.models import Dial
from policies.uponai import client as uponai_client
from tests.factories import UPONAI_KEY, make_phone_number, make_token, make_workspace, moment
from tests.sandbox.conftest import Sandbox

OURS = "+14155550100"
PEER = "+14155550142"
LONDON = "+447400123456"
SITE = "https://www.example.com"
CALL, SMS, WEB, CHAT, SAY = (
    "/gate/v2/create-phone-call",
    "/gate/create-sms-chat",
    "/gate/v3/create-web-call",
    "/gate/create-chat",
    "/gate/create-chat-completion",
)
DIAL = {"from_number": OURS, "to_number": PEER}


@pytest.fixture(scope="session")
def sandbox_of_gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    patch = pytest.MonkeyPatch()
    patch.setattr("tests.sandbox.conftest.API_KEY", UPONAI_KEY)
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    sandbox.retell = sandbox.client(UPONAI_KEY)
    patch.undo()
    yield sandbox
    sandbox.kill()


@pytest.fixture
def uponai(sandbox_of_gate: Sandbox, settings: Any) -> Sandbox:
    """The sandbox that the gate takes for UponAI: empty but for our number."""
    sandbox_of_gate.post("reset")
    sandbox_of_gate.add_number(OURS)
    settings.UPONAI_API_URL = sandbox_of_gate.url
    return sandbox_of_gate


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """UponAI is not waited for long."""
    monkeypatch.setattr(uponai_client, "READ_SECONDS", 0.4)
    monkeypatch.setattr(uponai_client, "QUICK_READ_SECONDS", 0.4)


class Gate:
    """Asks the doors as a backend or a web page would."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.token = make_token(workspace, "gate:write")
        self.publish()

    def publish(self) -> None:
        """As the sweep does every second."""
        with contextlib.suppress(RedisError):
            snapshots.publish_all()

    def key(self, **facts: Any) -> PublicKey:
        given = {
            "name": f"key {moment().timestamp()}",
            "domains": ["www.example.com"],
            "channels": ["phone_call", "sms", "web_call", "chat"],
            "phone_number": OURS,
            "agent": "agent_page",
        }
        version = facts.pop("agent_version", "")
        key = keys.mint_public_key(workspace=self.workspace, acting_user=None, now=moment(), **given | facts)
        with scoped(self.workspace.pk):
            PublicKey.objects.filter(pk=key.pk).update(agent_version=version)
        self.publish()
        return key

    def post(
        self, path: str, body: Any = None, *, credential: str = "", ip: str = "203.0.113.7", **headers: str
    ) -> Any:
        content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        shown = {"Authorization": f"Bearer {credential or self.token}"} if credential != "none" else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Client().post(path, data=content, content_type="application/json", headers=shown | named, REMOTE_ADDR=ip)

    def page(self, path: str, key: PublicKey, body: Any = None, *, origin: str = SITE, **more: Any) -> Any:
        return self.post(path, body, credential=key.key, **{"Origin": origin} if origin else {}, **more)

    def dials(self) -> list[Dial]:
        with scoped(self.workspace.pk):
            return list(Dial.objects.order_by("pk"))


@pytest.fixture
def gate(db: Any) -> Gate:
    workspace = make_workspace()
    make_phone_number(workspace, OURS)
    return Gate(workspace)


def started(uponai: Sandbox) -> list[dict[str, Any]]:
    """Every change that UponAI really made since the numbers were put there."""
    return [entry for entry in uponai.get("log") if not entry["path"].startswith("/sandbox/")]


def calls(uponai: Sandbox) -> list[Any]:
    return list(uponai.retell.call.list(limit=1000).items)


def no_faults(uponai: Sandbox) -> None:
    uponai.post("faults", rate=0)


def faulty(uponai: Sandbox, kind: str, **more: Any) -> None:
    uponai.post("faults", rate=1, kinds=[kind], seed=1, **more)
