"""The hot doors under whatever strangers send: no 5xx, no exception, no growing memory, nothing unsigned read.

`NIGHTLY=1` for 100,000 requests; `FUZZ_SEED` for others than usual.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from accounts import end_user_tokens
from accounts.scoping import scoped
from fraudconsole.wsgi import application
from monitoring.ingest import inbox
from policies.gate import captcha, recorder, store
from policies.models import Decision
from tests import verifier as verifiers
from tests.factories import UPONAI_KEY, make_phone_number, make_workspace, moment
from tests.policies.gate.fuzz import TEN_MEGABYTES, Maker, Request, send
from tests.policies.gate.judging.conftest import CAPTCHA
from tests.policies.gate.outbound.conftest import CALL, CHAT, LONDON, OURS, PEER, SAY, SITE, SMS, WEB, Gate
from tests.policies.gate.webhooks import body as inbound_body

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(7200)]

SIZE = 100_000 if os.environ.get("NIGHTLY") else 5_000
if os.environ.get("ONLY_DATABASE_TESTS"):
    SIZE //= 4  # the second database: what only it stumbles over shows early
SEED = int(os.environ.get("FUZZ_SEED", "20261121"))
MOST_GROWTH_KB = 50 * 1024
WARM_UP = 300

DIAL = {"from_number": OURS, "to_number": PEER}
DOORS = {
    CALL: DIAL | {"override_agent_id": "agent_1", "metadata": {"a": "b"}, "agent_override": {"agent": {}}},
    SMS: DIAL,
    WEB: {"agent_id": "agent_1", "metadata": {"a": "b"}},
    CHAT: {"agent_id": "agent_1", "retell_llm_dynamic_variables": {"a": "b"}},
    SAY: {"chat_id": "chat_1", "content": "hello"},
    "/gate/v1/judge": DIAL | {"direction": "outbound", "channel": "phone_call", "ip": "203.0.113.9", "subject": "u"},
    "/gate/v1/outcomes": {"decision_id": "8c1b6d9c-7a0f-4a57-9d53-3d3f3a3a7c11", "outcome": "good"},
    "/gate/v1/form": {},
}
PAGE_FIELDS = {CALL: {"to_number": LONDON}, SMS: {"to_number": LONDON}, WEB: {}, CHAT: {}, SAY: DOORS[SAY]}
EVENT = {
    "event": "call_ended",
    "call": {"call_id": "call_1", "direction": "outbound", "from_number": OURS, "to_number": PEER, "duration_ms": 1000}
    | {"metadata": {"decision_id": "8c1b6d9c-7a0f-4a57-9d53-3d3f3a3a7c11"}, "call_cost": {"combined_cost": 1.5}},
}


class _AnythingGoes(BaseHTTPRequestHandler):
    """An UponAI that starts whatever it is asked to."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"call_id":"call_1","chat_id":"chat_1","access_token":"t","messages":[{"content":"hello"}]}'
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def provider(settings) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _AnythingGoes)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.UPONAI_API_URL = f"http://127.0.0.1:{server.server_port}"
    yield
    server.shutdown()
    server.server_close()


@pytest.fixture
def gate(db, provider) -> Gate:
    workspace = make_workspace()
    make_phone_number(workspace, OURS, inbound=["US", "CA"], outbound=["US", "CA", "GB"])
    return Gate(workspace)


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """The largest that this process becomes inside is little more than it was."""
    status = Path("/proc/self/status")
    if not status.exists():
        yield
        return
    Path("/proc/self/clear_refs").write_text("5")  # the peak is measured from here on
    before = _kilobytes(status, "VmRSS")
    yield
    assert _kilobytes(status, "VmHWM") - before <= MOST_GROWTH_KB


def _kilobytes(status: Path, name: str) -> int:
    (line,) = (line for line in status.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


def _bombard(maker: Maker, make, caplog) -> Counter[int]:
    """Sends SIZE requests, and a few before. Answers how often each status came back."""
    found: Counter[int] = Counter()
    for _ in range(WARM_UP):
        send(application, make())
    with bounded_memory():
        for number in range(SIZE):
            request = make()
            answer = send(application, request)
            found[answer.status] += 1
            _refuse_trouble(answer, request, number, caplog)
    return found


def _refuse_trouble(answer, request, number, caplog) -> None:
    broken = [record for record in caplog.records if record.exc_info]
    caplog.clear()
    where = f"seed {SEED}, request {number}: {request.method} {request.path} {request.headers} {request.body[:500]!r}"
    assert not broken, f"{where}: {logging.Formatter().formatException(broken[0].exc_info)}"
    assert answer.status < 500, f"{where}: {answer.status} {answer.body[:300]!r}"
    if answer.body:
        json.loads(answer.body)


# --- UponAI's webhooks ----------------------------------------------------------------------------


def test_reads_nothing_that_is_not_signed(gate, caplog):
    maker, endpoint = Maker(SEED), gate.workspace.endpoint
    base = json.loads(inbound_body(call_id="call_1"))

    def make() -> Request:
        door = maker.chance.choice(("inbound", "events"))
        content = maker.body(base if door == "inbound" else EVENT)
        where = endpoint if maker.chance.random() < 0.9 else maker.chance.choice(("x", "0" * 400, "é", "\x00", "%2e"))
        request = Request(f"/hooks/{where}/{door}", content, maker.wrong_signature(content, UPONAI_KEY))
        return maker.spoiled(request)

    found = _bombard(maker, make, caplog)

    # None of these says anything about the body but how long it is.
    assert found.keys() <= {401, 404, 405, 413}
    assert store.undrained(gate.workspace.pk) == []
    with scoped(gate.workspace.pk):
        assert not inbox.WebhookEvent.objects.exists()


def test_answers_alike_whatever_an_unsigned_body_is(gate):
    path = f"/hooks/{gate.workspace.endpoint}/inbound"
    bodies = [b"{}", b"{", b"", b"\xff", b"[" * 10_000 + b"}", inbound_body(), b"NaN}"]

    answers = [
        send(application, Request(path, body, {"X-UponAI-Signature": f"v={'1' * 13},d={'a' * 64}"})) for body in bodies
    ]

    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert send(application, Request(path, TEN_MEGABYTES)).status == 413


def test_answers_whatever_is_signed(gate, caplog):
    maker, endpoint = Maker(SEED + 1), gate.workspace.endpoint
    base = json.loads(inbound_body(call_id="call_1"))

    def make() -> Request:
        door = maker.chance.choice(("inbound", "inbound", "events"))
        content = maker.body(base if door == "inbound" else EVENT)
        return maker.spoiled(Request(f"/hooks/{endpoint}/{door}", content, maker.signature(content, UPONAI_KEY)))

    found = _bombard(maker, make, caplog)

    assert found.keys() <= {200, 204, 401, 404, 405, 413}
    assert found[200] > SIZE / 4
    _everything_is_recorded(gate)


# --- The gate -------------------------------------------------------------------------------------


def test_answers_whatever_backends_send(gate, caplog):
    maker = Maker(SEED + 2)

    def make() -> Request:
        path = maker.chance.choice(list(DOORS))
        headers = {"Authorization": f"Bearer {gate.token}"}
        return maker.spoiled(Request(path, maker.body(DOORS[path]), headers))

    found = _bombard(maker, make, caplog)

    assert found[200] + found[201] > SIZE / 50
    assert found[422] > SIZE / 20
    _everything_is_recorded(gate)


def test_answers_whatever_web_pages_send(gate, caplog):
    maker, key = Maker(SEED + 3), gate.key(allowed_fields=["metadata", "agent_override.agent"])
    user, _ = end_user_tokens.mint(workspace_id=gate.workspace.pk, subject="user-1", now=moment())

    def make() -> Request:
        path = maker.chance.choice(list(DOORS))
        headers = {"Authorization": f"Bearer {key.key}", "Origin": SITE}
        if maker.chance.random() < 0.3:
            headers["X-End-User-Token"] = user
        request = Request(path, maker.body(PAGE_FIELDS.get(path, {})), headers)
        if path.endswith("form"):
            request.method = "GET"
        return maker.spoiled(request)

    found = _bombard(maker, make, caplog)

    assert {200, 403, 422} <= found.keys()
    _everything_is_recorded(gate)


def test_answers_whatever_is_shown_for_a_captcha(gate, caplog, settings, monkeypatch):
    maker, key = Maker(SEED + 4), gate.key(**CAPTCHA, limits={"ip": None, "ip_56": None, "ip_48": None})
    with verifiers.running() as verifier:
        settings.CAPTCHA_VERIFY_URLS = dict.fromkeys(captcha.KINDS, verifier.url)

        def make() -> Request:
            token = maker.chance.choice(("x", "x y", "é", "x" * 9000, "", " ", "\x7f", verifier.token(score=0.1)))
            headers = {"Authorization": f"Bearer {key.key}", "Origin": SITE}
            in_body = maker.chance.random() < 0.5
            content = json.dumps({"recaptcha_token": token} if in_body else {}).encode()
            if not in_body:
                headers["X-Captcha-Token"] = token
            return Request(CHAT, content, headers)

        monkeypatch.setattr("tests.policies.gate.test_fuzz_doors.SIZE", SIZE // 10)
        found = _bombard(maker, make, caplog)
    captcha.forget()

    assert found.keys() <= {403, 422, 429}
    assert found[403]


def test_says_no_to_whatever_is_no_credential(gate, caplog):
    maker = Maker(SEED + 5)
    shown = ["", "Bearer", "Bearer x", f"Bearer {gate.token[:-1]}", f"Basic {gate.token}", gate.token, "Bearer pk_é"]

    def make() -> Request:
        path = maker.chance.choice(list(DOORS))
        headers = {"Authorization": maker.chance.choice(shown)}
        request = maker.spoiled(Request(path, maker.body(DOORS[path]), headers))
        if path.endswith("form") and maker.chance.random() < 0.8:
            request.method = "GET"
        return request

    found = _bombard(maker, make, caplog)

    assert found.keys() <= {204, 401, 404, 405}
    assert store.undrained(gate.workspace.pk) == []


def _everything_is_recorded(gate: Gate) -> None:
    """No decision is such that SQL cannot take it, which would keep all that follow from being written too."""
    waiting = _waiting(gate)
    with scoped(gate.workspace.pk):
        before = Decision.objects.count()
    recorder.drain(now=moment())
    assert _waiting(gate) == 0
    with scoped(gate.workspace.pk):
        assert Decision.objects.count() - before == waiting


def _waiting(gate: Gate) -> int:
    return int(store.connection().xlen(store._key(gate.workspace.pk, "decisions")))
