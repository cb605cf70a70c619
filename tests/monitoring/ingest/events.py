"""UponAI's events as they come over the wire."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from accounts.models import Workspace
from accounts.scoping import scoped
from monitoring.ingest import fold, processing
from monitoring.models import Call, WebhookEvent
from tests.factories import moment
from tests.policies.gate.webhooks import signed

OUR_NUMBER = "+14155550100"
BRITON = "+447400123456"
CANADIAN = "+14165550123"
STARTED_MS = 1_767_225_600_000
ENDED_MS = STARTED_MS + 62_000


def call_event(event: str, call_id: str = "call_1", **details: Any) -> dict[str, Any]:
    """An outbound call of 62 s to a Briton; `details` of None are left out."""
    call = {
        "call_id": call_id,
        "call_type": "phone_call",
        "agent_id": "agent_reminders",
        "agent_version": 3,
        "call_status": "ongoing" if event == "call_started" else "ended",
        "direction": "outbound",
        "from_number": OUR_NUMBER,
        "to_number": BRITON,
        "start_timestamp": STARTED_MS,
    }
    if event != "call_started":
        call |= {
            "end_timestamp": ENDED_MS,
            "duration_ms": 62_000,
            "disconnection_reason": "user_hangup",
            "call_cost": {"combined_cost": 9.3},
            "transcript": "Agent: Hello. User: My card number is 4242.",
        }
    call |= details
    return {"event": event, "call": {name: value for name, value in call.items() if value is not None}}


def chat_event(event: str, chat_id: str = "chat_1", **details: Any) -> dict[str, Any]:
    chat = {
        "chat_id": chat_id,
        "agent_id": "agent_concierge",
        "chat_status": "ongoing" if event == "chat_started" else "ended",
        "chat_type": "api_chat",
        "start_timestamp": STARTED_MS,
    }
    if event != "chat_started":
        chat |= {"end_timestamp": ENDED_MS, "chat_cost": {"combined_cost": 0.4}}
    return {"event": event, "chat": chat | details}


def life(call_id: str, **details: Any) -> list[dict[str, Any]]:
    return [call_event(event, call_id, **details) for event in ("call_started", "call_ended", "call_analyzed")]


def encode(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


def send(workspace: Workspace, event: dict[str, Any] | bytes, headers: dict[str, str] | None = None) -> int:
    """The status code of the door's answer to a signed event."""
    body = event if isinstance(event, bytes) else encode(event)
    return (
        Client(raise_request_exception=False)
        .post(
            f"/hooks/{workspace.endpoint}/events",
            data=body,
            content_type="application/json",
            headers=signed(body) if headers is None else headers,
        )
        .status_code
    )


def process(workspace: Workspace, clock: Any = moment) -> int:
    return processing.process(workspace.pk, clock=clock)


def kept(workspace: Workspace) -> list[WebhookEvent]:
    with scoped(workspace.pk):
        return list(WebhookEvent.objects.order_by("id"))


def calls(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """What is known of each call, by UponAI's id."""
    with scoped(workspace.pk):
        return {row.pop("call_reference"): row for row in Call.objects.values("call_reference", *fold.COLUMNS)}
