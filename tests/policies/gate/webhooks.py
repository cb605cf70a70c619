"""UponAI's inbound webhook as it comes over the wire."""

from __future__ import annotations

import json
import time
from typing import Any

from django.test import Client

from accounts.models import Workspace
from policies.uponai import signature
from tests.factories import UPONAI_KEY

OUR_NUMBER = "+14155550100"
CANADIAN = "+14165550123"
JAMAICAN = "+18765550123"
CUBAN = "+5351234567"

REJECTED = {"call_inbound": {"reject": True}}
ACCEPTED: dict[str, Any] = {"call_inbound": {}}


def body(from_number: Any = CANADIAN, to_number: Any = OUR_NUMBER, **details: Any) -> bytes:
    call = {"agent_id": "agent_front", "from_number": from_number, "to_number": to_number} | details
    return json.dumps({"event": "call_inbound", "call_inbound": call}).encode()


def signed(content: bytes, *, key: str = UPONAI_KEY, at_ms: int | None = None) -> dict[str, str]:
    value = signature.sign(body=content, secret=key, now_ms=at_ms or time.time_ns() // 1_000_000)
    return {"X-UponAI-Signature": value}


def deliver(workspace: Workspace, content: bytes, headers: dict[str, str] | None = None) -> Any:
    """The answer of the door, with its status code."""
    return Client().post(
        f"/hooks/{workspace.endpoint}/inbound",
        data=content,
        content_type="application/json",
        headers=signed(content) if headers is None else headers,
    )
