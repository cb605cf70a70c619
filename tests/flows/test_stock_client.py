"""A customer's program with UponAI's stock client: only its address is changed, to the gate's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import retell
from retell import Retell

from accounts.scoping import scoped
from policies import actions
from policies.models import Dial, PhoneNumber
from policies.uponai import client as uponai_client
from tests.factories import moment
from tests.policies.gate.outbound.conftest import (  # noqa: F401  (fixtures)
    OURS,
    PEER,
    Gate,
    calls,
    gate,
    impatient,
    sandbox_of_gate,
    started,
    uponai,
)

pytestmark = pytest.mark.django_db(transaction=True)

LONDON = "+447400123456"


@pytest.fixture
def knocks(monkeypatch):
    """Every request that reached the gate's doors."""
    from policies.gate.outbound import doors

    seen: list[str] = []
    serve = doors.serve

    def counting(request: Any, *arguments: Any, **more: Any) -> Any:
        seen.append(request.path)
        return serve(request, *arguments, **more)

    monkeypatch.setattr(doors, "serve", counting)
    return seen


@pytest.fixture
def stock(gate: Gate, live_server: Any):  # noqa: F811
    """The client as it comes, with its own retries."""

    def client(credential: str = "", **options: Any) -> Retell:
        return Retell(
            api_key=credential or gate.token,
            base_url=f"{live_server.url}/gate",
            _strict_response_validation=True,
            **options,
        )

    return client


def test_starts_all_that_it_starts_at_uponai(gate, uponai, stock, knocks):  # noqa: F811
    client = stock()

    call = client.call.create_phone_call(from_number=OURS, to_number="+1 415 555 0142", metadata={"customer": "7"})
    web = client.call.create_web_call(agent_id="agent_web")
    sms = client.chat.create_sms_chat(from_number=OURS, to_number=PEER)
    chat = client.chat.create(agent_id="agent_chat")
    said = client.chat.create_chat_completion(chat_id=chat.chat_id, content="Hello")

    real = uponai.retell.call.retrieve(call.call_id)
    assert (real.to_number, real.from_number, real.direction) == (PEER, OURS, "outbound")
    assert real.metadata["customer"] == "7"
    dials = {dial.call_id: dial for dial in gate.dials()}
    assert real.metadata["decision_id"] == str(dials[call.call_id].decision_id)
    sent = started(uponai)[0]["body"]
    assert 0 < sent["agent_override"]["agent"]["max_call_duration_ms"] <= 900_000
    assert uponai.retell.call.retrieve(web.call_id).call_type == "web_call"
    assert web.access_token
    assert uponai.retell.chat.retrieve(sms.chat_id).chat_type == "sms_chat"
    assert said.messages[0].content == "You said: Hello"
    assert len(knocks) == 5


def test_tells_the_decision_in_a_header(gate, uponai, stock):  # noqa: F811
    answer = stock().call.with_raw_response.create_phone_call(from_number=OURS, to_number=PEER)

    assert answer.headers["X-Decision-Id"] == str(gate.dials()[0].decision_id)


def test_a_key_of_its_own_makes_one_call_of_two_requests(gate, uponai, stock):  # noqa: F811
    first, second = (
        stock().call.create_phone_call(from_number=OURS, to_number=PEER, idempotency_key="campaign-7") for _ in range(2)
    )

    assert first.call_id == second.call_id
    assert len(calls(uponai)) == 1


def expect(error: type[retell.APIStatusError], knocks: list[str], ask: Any, code: str) -> Any:
    knocks.clear()
    with pytest.raises(error) as refused:
        ask()
    body = refused.value.body
    assert isinstance(body, dict)
    assert (body["status"], body["code"]) == ("error", code)
    assert body["message"]
    assert len(knocks) == 1  # not one retry
    return refused.value


def test_refusals_are_its_ordinary_exceptions_and_are_not_retried(gate, uponai, stock, knocks):  # noqa: F811
    client = stock()

    def dial(to_number: str = PEER, **more: Any) -> Any:
        return client.call.create_phone_call(from_number=OURS, to_number=to_number, **more)

    expect(retell.BadRequestError, knocks, lambda: dial("nonsense"), "invalid_number")
    expect(retell.PermissionDeniedError, knocks, lambda: dial(LONDON), "country_not_allowed")
    expect(retell.PermissionDeniedError, knocks, lambda: dial("+5351234567"), "sanctioned_country")
    expect(retell.UnprocessableEntityError, knocks, lambda: dial(idempotency_key="\t\n"), "invalid_request")
    stranger = stock("fc_nobody")
    ask = lambda: stranger.call.create_phone_call(from_number=OURS, to_number=PEER)  # noqa: E731
    expect(retell.AuthenticationError, knocks, ask, "unknown_key")
    assert started(uponai) == []


def test_a_request_under_way_is_a_conflict_and_a_silent_uponai_an_internal_error(
    gate,  # noqa: F811
    uponai,  # noqa: F811
    stock,
    knocks,
    impatient,  # noqa: F811
):
    client = stock()
    uponai.post("faults", rate=1, kinds=["timeout_before"], seed=1, hold_seconds=2)

    def dial() -> Any:
        return client.call.create_phone_call(from_number=OURS, to_number=PEER, idempotency_key="k1")

    expect(retell.InternalServerError, knocks, dial, "degraded")
    with scoped(gate.workspace.pk):
        Dial.objects.update(state="running", due_at=moment() + timedelta(seconds=30))
    expect(retell.ConflictError, knocks, dial, "idempotency_key_running")
    uponai.post("faults", rate=0)
    assert calls(uponai) == []
    uponai_client._kept_open.cache_clear()


def test_what_the_client_would_send_again_by_itself_is_sent_once(
    gate,  # noqa: F811
    uponai,  # noqa: F811
    stock,
    knocks,
    impatient,  # noqa: F811
):
    """It retries no call of its own accord, but SMS, chats and browser calls, unless it is told not to."""
    client = stock()
    assert client.max_retries == 2
    person = {"X-End-User-IP": "198.51.100.9"}

    def sms(**headers: str) -> Any:
        return client.chat.create_sms_chat(from_number=OURS, to_number=PEER, extra_headers=person | headers)

    for _ in range(3):
        sms()
    limited = expect(retell.RateLimitError, knocks, sms, "rate_limited")
    assert int(limited.response.headers["Retry-After"]) > 0

    uponai.post("faults", rate=1, kinds=["timeout_after"], seed=1, hold_seconds=2)
    ask = lambda: client.chat.create(agent_id="agent_chat", extra_headers={"Idempotency-Key": "k1"})  # noqa: E731
    expect(retell.InternalServerError, knocks, ask, "degraded")
    with scoped(gate.workspace.pk):
        Dial.objects.filter(state="unknown").update(state="running", due_at=moment() + timedelta(seconds=30))
    expect(retell.ConflictError, knocks, ask, "idempotency_key_running")
    uponai.post("faults", rate=0)
    assert len([entry for entry in started(uponai) if entry["path"] == "/create-chat"]) == 1


def test_uponais_own_refusals_come_as_they_are(gate, uponai, stock, knocks):  # noqa: F811
    uponai.put("settings", rps=0.001)
    client = stock()
    uponai.http.get("/get-concurrency")  # takes what there is

    with pytest.raises(retell.RateLimitError) as refused:
        client.call.create_phone_call(from_number=OURS, to_number=PEER)

    uponai.put("settings", rps=0)
    assert refused.value.response.headers["Retry-After"] == "1"
    assert len(knocks) == 1
    with pytest.raises(retell.UnprocessableEntityError, match="Cannot find requested asset"):
        client.call.create_phone_call(from_number=OURS, to_number=PEER, override_agent_id="nonsense")


def test_obeys_an_edit_with_its_next_call(gate, uponai, stock):  # noqa: F811
    client = stock()
    client.call.create_phone_call(from_number=OURS, to_number=PEER)
    with scoped(gate.workspace.pk):
        number = PhoneNumber.objects.get()
        actions.edit_phone_number(phone_number=number, outbound_countries=["CA"], acting_user=None, now=moment())

    with pytest.raises(retell.PermissionDeniedError):
        client.call.create_phone_call(from_number=OURS, to_number=PEER)
    assert len(calls(uponai)) == 1
