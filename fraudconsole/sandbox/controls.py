"""What a test or a demonstration may do to the sandbox, under /sandbox/. No UponAI path is made here."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import bodies, conversations, faults, inbound, lifecycle, phone_numbers, webhooks
from .bodies import Body
from .conversations import Conversation
from .errors import Refusal, malformed, missing_asset
from .provider import Provider
from .requests import RequestLog

ENDING_FIELDS: dict[str, bodies.Check] = {
    "disconnection_reason": bodies.one_of(*sorted(lifecycle.REASONS)),
    "duration_ms": bodies.at_least(0, bodies.whole),
    "join": bodies.flag,
}
REQUIRED_OF_CALLS = ("call_type", "agent_id", "agent_version", "call_status")
REQUIRED_OF_PHONE_CALLS = ("direction", "from_number", "to_number")
MAX_PAGE = 100_000


async def inbound_call(request: Request) -> Response:
    return await _inbound(request, "call_inbound")


async def inbound_sms(request: Request) -> Response:
    return await _inbound(request, "chat_inbound")


async def _inbound(request: Request, what: str) -> Response:
    """The id of the call or chat travels in a header, since the body's fields are fixed."""
    state = request.app.state
    body = await bodies.read_body(request)
    attempt = inbound.make_attempt(state.provider, body, what=what)
    result = await inbound.receive(state.provider, state.client, attempt, content=body.get("content", ""))
    name = "X-Call-Id" if attempt.is_call else "X-Chat-Id"
    return JSONResponse(result, headers={name: attempt.id})


async def end_call(request: Request) -> Response:
    """End a call with a chosen reason, or (`"join": true`) let one that is still waiting begin."""
    provider: Provider = request.app.state.provider
    fields = bodies.checked(await bodies.read_body(request), ENDING_FIELDS)
    call = conversations.find(provider, "call", request.path_params["call_id"])
    if call is None:
        raise missing_asset()
    if call.body["call_status"] in lifecycle.OVER:
        raise Refusal(400, "The call is over already.")
    reason = fields.get("disconnection_reason")
    if reason is None and not fields.get("join"):
        raise malformed("disconnection_reason", "is required, unless join is true")
    if fields.get("join") and call.body["call_status"] == "registered":
        lifecycle.connect(provider, call, at=provider.now())
    if reason is not None:
        _end(provider, call, reason, fields.get("duration_ms"))
    return JSONResponse(call.body)


def _end(provider: Provider, call: Conversation, reason: str, duration_ms: int | None) -> None:
    now = provider.now()
    if call.body["call_status"] == "registered" and (duration_ms or lifecycle.status_of(reason) == "ended"):
        # It must have been picked up, or joined, to end like this: let it begin as long ago as it lasted.
        lifecycle.connect(provider, call, at=now - (duration_ms or 0))
    started_at = call.body.get("start_timestamp")
    # A start that has been announced stays as it is; the length asked for moves the end.
    ended_at = now if duration_ms is None or started_at is None else started_at + duration_ms
    lifecycle.finish(provider, call, reason=reason, at=ended_at)
    call.schedule("analyse", now + lifecycle.ANALYSIS_MS)
    conversations.save(provider, call)


async def seed_numbers(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    names = phone_numbers.seed(provider, (await bodies.read_body(request)).get("numbers"))
    request.state.logged_body = {"phone_numbers": names}
    return JSONResponse({"count": len(names)})


async def seed_calls(request: Request) -> Response:
    """Past calls, as they are given; no events are sent for them."""
    provider: Provider = request.app.state.provider
    items = bodies.list_of(bodies.mapping)("calls", (await bodies.read_body(request)).get("calls"))
    for index, item in enumerate(items):
        conversations.save(provider, _past_call(provider, index, item))
    request.state.logged_body = {"count": len(items)}
    return JSONResponse({"count": len(items)})


def _past_call(provider: Provider, index: int, item: Body) -> Conversation:
    required = REQUIRED_OF_CALLS + (REQUIRED_OF_PHONE_CALLS if item.get("call_type") == "phone_call" else ())
    for name in required:
        if name not in item:
            raise malformed(f"calls[{index}].{name}", "is required")
    if item["call_status"] not in lifecycle.OVER:
        raise malformed(f"calls[{index}].call_status", f"must be one of {', '.join(lifecycle.OVER)}")
    sort_at = bodies.whole(f"calls[{index}].start_timestamp", item.get("start_timestamp", provider.now()))
    call_id = bodies.full_text(f"calls[{index}].call_id", item.get("call_id") or conversations.new_id("call"))
    return Conversation(id=call_id, kind="call", sort_at=sort_at, body={**item, "call_id": call_id})


async def set_faults(request: Request) -> Response:
    wire: faults.FaultyWire = request.app.state.wire
    wire.plan = faults.make_plan(await bodies.read_body(request))
    return JSONResponse(wire.plan.described())


async def get_faults(request: Request) -> Response:
    """`late`: how many requests are still to be carried out that nobody expects any more."""
    wire: faults.FaultyWire = request.app.state.wire
    return JSONResponse({**wire.plan.described(), "late": len(wire.late)})


async def get_log(request: Request) -> Response:
    rows = _rows_after(request, "changes")
    return JSONResponse([{**dict(row), "body": json.loads(row["body"])} for row in rows])


async def get_requests(request: Request) -> Response:
    """Every request at UponAI's own paths since this process began, with what became of it."""
    log: RequestLog = request.app.state.requests
    return JSONResponse(log.after(_after(request), MAX_PAGE))


async def get_deliveries(request: Request) -> Response:
    """The events sent or given up, with every attempt; inbound webhooks report theirs to who called."""
    answer = []
    for row in _rows_after(request, "deliveries"):
        shown = {name: row[name] for name in ("n", "event", "subject", "url", "state")}
        answer.append({**shown, "body": json.loads(row["body"]), "attempts": json.loads(row["attempts"])})
    return JSONResponse(answer)


def _after(request: Request) -> int:
    after = request.query_params.get("after", "0")
    if not after.isascii() or not after.isdigit() or len(after) > 18:
        raise malformed("after", "must be a number of an entry")
    return int(after)


def _rows_after(request: Request, table: str) -> list[Any]:
    sql = f"SELECT * FROM {table} WHERE n > ? ORDER BY n LIMIT ?"  # noqa: S608 - the caller names the table
    rows: list[Any] = request.app.state.provider.store.execute(sql, _after(request), MAX_PAGE).fetchall()
    return rows


async def send_event(request: Request) -> Response:
    """Send any body, signed: events UponAI has and the sandbox does not make, and alerts."""
    provider: Provider = request.app.state.provider
    checks: dict[str, bodies.Check] = {"url": bodies.full_text, "body": bodies.mapping}
    fields = bodies.checked(await bodies.read_body(request), checks, required=("body",))
    setting = "alert_url" if fields["body"].get("event") == "alert_triggered" else "events_url"
    url = fields.get("url") or provider.settings[setting]
    if url is None:
        raise malformed("url", f"is required, since the setting {setting} is not set")
    n = webhooks.queue(provider, url=url, subject="sent by hand", body=fields["body"])
    return JSONResponse({"n": n}, 202)


async def get_settings(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    return JSONResponse({**provider.settings, "now": provider.now()})


async def change_settings(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    body = await bodies.read_body(request)
    body.pop("now", None)
    provider.change_settings(body)
    return await get_settings(request)


async def get_clock(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    return JSONResponse({"speed": provider.clock.speed, "now": provider.now()})


async def change_clock(request: Request) -> Response:
    """The setting `clock_speed` by another name: {"speed": 60} makes a minute pass every second from now on."""
    speed = (await bodies.read_body(request)).get("speed")
    if speed is None:
        raise malformed("speed", "is required")
    request.app.state.provider.change_settings({"clock_speed": speed})
    return await get_clock(request)


async def get_kyc_status(request: Request) -> Response:
    """`status` of the account and the register of subjects; with `?subject=`, that one alone."""
    settings = request.app.state.provider.settings
    subjects, named = settings["kyc_subjects"], request.query_params.get("subject")
    if named is not None:
        subjects = {name: value for name, value in subjects.items() if name == named}
    return JSONResponse({"status": settings["kyc_status"], "subjects": subjects})


async def change_kyc_status(request: Request) -> Response:
    """`status` of the account (only `approved` may dial), and a register of `subjects`; null removes one."""
    provider: Provider = request.app.state.provider
    checks: dict[str, bodies.Check] = {"status": bodies.full_text, "subjects": bodies.mapping}
    fields = bodies.checked(await bodies.read_body(request), checks)
    subjects = {**provider.settings["kyc_subjects"], **fields.get("subjects", {})}
    changes: Body = {"kyc_subjects": {name: value for name, value in subjects.items() if value is not None}}
    if "status" in fields:
        changes["kyc_status"] = fields["status"]
    provider.change_settings(changes)
    return await get_kyc_status(request)


async def reset(request: Request) -> Response:
    """Forget everything, settings too (those of the command line come back)."""
    provider: Provider = request.app.state.provider
    request.app.state.wire.plan = faults.Plan()
    provider.store.empty()
    provider.restore_given_settings()
    return Response(status_code=204)
