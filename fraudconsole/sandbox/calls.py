"""The endpoints of calls, batches of calls, and the account."""

from __future__ import annotations

import json
import sys
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import bodies, conversations, dialling, lifecycle, listing, phone_numbers, public_keys
from .bodies import Body, Check
from .conversations import Conversation
from .errors import Refusal, malformed, missing_asset, not_found
from .provider import Provider
from .store import dump

UPDATE_FIELDS: dict[str, Check] = {
    "metadata": bodies.nullable(bodies.metadata),
    "data_storage_setting": bodies.one_of("everything", "everything_except_pii", "basic_attributes_only"),
    "custom_attributes": bodies.nullable(bodies.attributes),
}
BATCH_FIELDS: dict[str, Check] = {
    "from_number": bodies.full_text,
    "tasks": bodies.list_of(bodies.mapping),
    "name": bodies.text,
    "trigger_timestamp": bodies.at_least(0, bodies.number),
    "reserved_concurrency": bodies.at_least(0, bodies.whole),
    "call_time_window": bodies.mapping,
}


async def create_phone_call(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    body = await bodies.read_body(request)
    fields = dialling.check_dial(body)
    earlier = dialling.earlier_call(provider, fields.get("idempotency_key"))
    if earlier is not None:
        request.state.is_repeated = True
        return JSONResponse(earlier.body, 201)
    public_keys.admit(provider, request, body, destination=fields["to_number"])
    call = dialling.dial(provider, fields, bucket=request.app.state.dials)
    return JSONResponse(call.body, 201)


async def create_web_call(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    body = await bodies.read_body(request)
    public_keys.admit(provider, request, body)
    call = dialling.register_web_call(provider, body)
    ticket = {
        "access_token": call.body["access_token"],
        "call_id": call.id,
        "expires_at": provider.now() + lifecycle.JOIN_MS,
        "ice_servers": [{"urls": "stun:stun.example.com"}],
        "transport": "gateway",
    }
    return JSONResponse(ticket, 201)


async def create_web_call_v2(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    body = await bodies.read_body(request)
    public_keys.admit(provider, request, body)
    return JSONResponse(dialling.register_web_call(provider, body).body, 201)


async def register_phone_call(request: Request) -> Response:
    body = await bodies.read_body(request)
    return JSONResponse(dialling.register_phone_call(request.app.state.provider, body).body, 201)


def existing(request: Request) -> Conversation:
    call = conversations.find(request.app.state.provider, "call", request.path_params["call_id"])
    if call is None:
        raise missing_asset()
    return call


async def get_call(request: Request) -> Response:
    return JSONResponse(existing(request).body)


async def list_calls(request: Request) -> Response:
    body = await bodies.read_body(request)
    return JSONResponse(listing.list_conversations(request.app.state.provider, "call", body))


async def update_call(request: Request) -> Response:
    fields = bodies.checked(await bodies.read_body(request), UPDATE_FIELDS)
    call = existing(request)
    update_shown(call, fields)
    conversations.save(request.app.state.provider, call)
    return JSONResponse(call.body)


def update_shown(one: Conversation, fields: Body) -> None:
    one.body.update(fields)
    for name, value in fields.items():
        if value is None:
            del one.body[name]


async def stop_call(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    call = conversations.find(provider, "call", request.path_params["call_id"])
    if call is None:
        raise not_found()
    if call.body["call_status"] in lifecycle.OVER:
        raise Refusal(400, "The call is over already.")
    lifecycle.finish(provider, call, reason="manual_stopped", at=provider.now())
    return Response(status_code=204)


async def delete_call(request: Request) -> Response:
    conversations.delete(request.app.state.provider, existing(request))
    return Response(status_code=204)


async def get_concurrency(request: Request) -> Response:
    return JSONResponse(conversations.concurrency(request.app.state.provider))


async def get_api_key_info(request: Request) -> Response:
    return JSONResponse({"org_id": "org_sandbox", "org_name": "Sandbox", "api_key_name": "sandbox"})


# Batches: rows with a due time, dialled by the timers. No gate of a customer sees these calls.


async def create_batch_call(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    fields = bodies.checked(await bodies.read_body(request), BATCH_FIELDS, required=("from_number", "tasks"))
    if not fields["tasks"]:
        raise malformed("tasks", "must not be empty")
    tasks = [dialling.check_dial({**task, "from_number": fields["from_number"]}) for task in fields["tasks"]]
    phone_numbers.owned(provider, fields["from_number"])
    batch_call_id = conversations.new_id("batch_call")
    due_at = int(max(provider.now(), fields.get("trigger_timestamp", 0)))
    for task in tasks:
        task.pop("idempotency_key", None)  # of single dials only
    provider.store.execute("INSERT INTO batches VALUES (?, ?, ?)", batch_call_id, due_at, dump(tasks))
    provider.wake()
    answer: Body = {
        "batch_call_id": batch_call_id,
        "name": fields.get("name", "Batch call"),
        "from_number": fields["from_number"],
        "scheduled_timestamp": due_at,
        "total_task_count": len(tasks),
    }
    if "call_time_window" in fields:
        answer["call_time_window"] = fields["call_time_window"]
    return JSONResponse(answer, 201)


def run_due_batches(provider: Provider) -> None:
    rows = provider.store.execute("SELECT * FROM batches WHERE due_at <= ?", provider.now()).fetchall()
    for row in rows:
        with provider.store.transaction():
            for task in json.loads(row["body"]):
                _dial_task(provider, task, row["id"])
            provider.store.execute("DELETE FROM batches WHERE id = ?", row["id"])


def _dial_task(provider: Provider, task: dict[str, Any], batch_call_id: str) -> None:
    try:
        dialling.dial(provider, task, bucket=None, batch_call_id=batch_call_id)
    except Refusal as refusal:
        print(
            f"refused a task of {batch_call_id}: {refusal.status} {refusal.message}",
            file=sys.stderr,
            flush=True,
        )
