"""Puts the sandbox together: the door (keys, rates), the faulty wire, the endpoints, the timers."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from . import bodies, calls, chats, controls, faults, lifecycle, phone_numbers, public_keys, webhooks
from .errors import NOT_FOUND, RATE_LIMITED, SERVER_ERROR, UNAUTHORISED, Refusal
from .provider import Bucket, Provider
from .requests import RequestLog, note

Endpoint = Callable[[Request], Awaitable[Response]]
SECRET_FIELDS = frozenset({"auth_password", "sip_trunk_auth_password"})
LONGEST_SLEEP_SECONDS = 60.0


def change(endpoint: Endpoint) -> Endpoint:
    """An endpoint that changes things: all or nothing, and noted in the log of changes."""

    async def changing(request: Request) -> Response:
        provider: Provider = request.app.state.provider
        raw = await request.body()  # read here, so that nothing waits inside the transaction
        with provider.store.transaction():
            response = await endpoint(request)
            body = getattr(request.state, "logged_body", None) or bodies.parse_object(raw)
            if not getattr(request.state, "is_repeated", False):
                change = provider.store.log_change(
                    now=provider.now(),
                    method=request.method,
                    path=request.scope["path"],
                    body={name: "…" if name in SECRET_FIELDS else value for name, value in body.items()},
                )
                note(request.scope, change=change)
        return response

    return changing


def get(path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=["GET"])


def post(path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=["POST"])


def patch(path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=["PATCH"])


def delete(path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=["DELETE"])


ROUTES = [
    get("/v2/list-phone-numbers", phone_numbers.list_numbers),
    get("/get-phone-number/{number}", phone_numbers.get_number),
    post("/create-phone-number", change(phone_numbers.buy_number)),
    post("/import-phone-number", change(phone_numbers.import_number)),
    patch("/update-phone-number/{number}", change(phone_numbers.update_number)),
    delete("/delete-phone-number/{number}", change(phone_numbers.delete_number)),
    post("/v2/create-phone-call", change(calls.create_phone_call)),
    post("/v3/create-web-call", change(calls.create_web_call)),
    post("/v2/create-web-call", change(calls.create_web_call_v2)),
    post("/v2/register-phone-call", change(calls.register_phone_call)),
    post("/create-batch-call", change(calls.create_batch_call)),
    get("/v2/get-call/{call_id}", calls.get_call),
    post("/v3/list-calls", calls.list_calls),
    patch("/v2/update-call/{call_id}", change(calls.update_call)),
    post("/v2/stop-call/{call_id}", change(calls.stop_call)),
    delete("/v2/delete-call/{call_id}", change(calls.delete_call)),
    get("/get-api-key-info", calls.get_api_key_info),
    get("/get-concurrency", calls.get_concurrency),
    post("/create-chat", change(chats.create_chat)),
    post("/create-chat-completion", change(chats.say)),
    post("/create-sms-chat", change(chats.create_sms_chat)),
    get("/get-chat/{chat_id}", chats.get_chat),
    patch("/update-chat/{chat_id}", change(chats.update_chat)),
    delete("/delete-chat/{chat_id}", change(chats.delete_chat)),
    post("/v3/list-chats", chats.list_chats),
    patch("/end-chat/{chat_id}", change(chats.end_chat)),
    # Controls. Inbound attempts wait for webhooks, so they keep their own transactions.
    post("/sandbox/inbound-call", controls.inbound_call),
    post("/sandbox/inbound-sms", controls.inbound_sms),
    post("/sandbox/calls", change(controls.seed_calls)),
    post("/sandbox/calls/{call_id}", change(controls.end_call)),
    post("/sandbox/numbers", change(controls.seed_numbers)),
    get("/sandbox/faults", controls.get_faults),
    post("/sandbox/faults", controls.set_faults),
    get("/sandbox/log", controls.get_log),
    get("/sandbox/requests", controls.get_requests),
    get("/sandbox/deliveries", controls.get_deliveries),
    post("/sandbox/events", controls.send_event),
    get("/sandbox/settings", controls.get_settings),
    Route("/sandbox/settings", controls.change_settings, methods=["PUT", "POST", "PATCH"]),
    get("/sandbox/public-keys", public_keys.list_keys),
    post("/sandbox/public-keys", change(public_keys.create_key)),
    get("/sandbox/public-keys/{key:path}", public_keys.get_key),
    patch("/sandbox/public-keys/{key:path}", change(public_keys.update_key)),
    delete("/sandbox/public-keys/{key:path}", change(public_keys.delete_key)),
    get("/sandbox/kyc-status", controls.get_kyc_status),
    Route("/sandbox/kyc-status", change(controls.change_kyc_status), methods=["PUT", "POST", "PATCH"]),
    get("/sandbox/clock", controls.get_clock),
    post("/sandbox/clock", controls.change_clock),
    post("/sandbox/reset", controls.reset),
]


def say_no(request: Request, status: int, message: str) -> Response:
    retry = request.headers.get("x-stainless-retry-count", "0")
    note = f" (retry {retry})" if retry != "0" else ""
    place = f"{request.method} {request.scope['path']}"
    line = f"{time.strftime('%H:%M:%S')} refused {place} {status} {message}{note}"
    print(line.replace("\n", " ").replace("\r", " "), file=sys.stderr, flush=True)
    headers = {"Retry-After": "1"} if status == 429 else None
    return JSONResponse({"status": "error", "message": message}, status, headers)


async def on_refusal(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return say_no(request, error.status, error.message)


async def on_http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    messages = {404: NOT_FOUND, 405: "This method is not allowed for this resource."}
    return say_no(request, status, messages.get(status, SERVER_ERROR))


async def on_bug(request: Request, error: Exception) -> Response:
    return say_no(request, 500, SERVER_ERROR)


class Door:
    """Keys first, then the request rate, then the faulty wire. /sandbox/ is under neither rate nor faults."""

    def __init__(self, endpoints: ASGIApp, wire: ASGIApp, provider: Provider) -> None:
        self.endpoints = endpoints
        self.wire = wire
        self.provider = provider
        self.requests = Bucket()
        self.log = RequestLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.endpoints(scope, receive, send)
            return
        request = Request(scope)
        is_control = scope["path"] == "/sandbox" or scope["path"].startswith("/sandbox/")
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        scope["key"] = key.strip() if scheme.lower() == "bearer" else ""
        entry = {} if is_control else self.log.begin(scope, now=self.provider.now())
        try:
            self._admit(request, is_control)
        except Refusal as refusal:
            note(scope, status=refusal.status)
            await say_no(request, refusal.status, refusal.message)(scope, receive, send)
        else:
            await (self.endpoints if is_control else self.wire)(scope, receive, send)
        finally:
            entry["done_at"] = self.provider.now()

    def _admit(self, request: Request, is_control: bool) -> None:
        key = request.scope["key"]
        if is_control:
            if key != self.provider.api_key:
                raise Refusal(401, UNAUTHORISED)
            return
        if not key:
            raise Refusal(401, UNAUTHORISED)
        if key not in self.provider.settings["api_keys"]:
            public_key = public_keys.find(self.provider, key)
            if public_key is None:
                raise Refusal(401, UNAUTHORISED)
            public_keys.check_door(public_key, path=request.scope["path"], origin=request.headers.get("origin"))
            request.scope["public_key"] = public_key
        if not self.requests.take(self.provider.settings["rps"]):
            raise Refusal(429, RATE_LIMITED)


async def keep_time(provider: Provider, courier: webhooks.Courier) -> None:
    """Run what is due, then sleep until the next due time or until something changes."""
    while True:
        provider.bell.clear()
        lifecycle.run_due(provider)
        calls.run_due_batches(provider)
        courier.start_due()
        try:
            async with asyncio.timeout(_sleep_seconds(provider, courier)):
                await provider.bell.wait()
        except TimeoutError:
            pass


def _sleep_seconds(provider: Provider, courier: webhooks.Courier) -> float:
    tables = ["conversations", "batches"]
    if len(courier.sending) < webhooks.MAX_SENDING:
        tables.append("deliveries")
    rows = [provider.store.row(f"SELECT min(due_at) FROM {table}") for table in tables]  # noqa: S608
    due = [row[0] for row in rows if row is not None and row[0] is not None]
    if not due:
        return LONGEST_SLEEP_SECONDS
    seconds = provider.clock.real_seconds(min(due) - provider.now())
    return min(LONGEST_SLEEP_SECONDS, max(0.001, seconds))


def make_app(provider: Provider) -> ASGIApp:
    client = webhooks.make_client()
    courier = webhooks.Courier(provider, client)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        timer = asyncio.create_task(keep_time(provider, courier))
        timer.add_done_callback(_stop_if_broken)
        yield
        timer.cancel()
        await courier.stop()
        await wire.stop()
        await client.aclose()
        provider.store.close()

    endpoints = Starlette(
        routes=ROUTES,
        lifespan=lifespan,
        exception_handlers={Refusal: on_refusal, HTTPException: on_http_error, Exception: on_bug},
    )
    endpoints.router.redirect_slashes = False
    wire = faults.FaultyWire(endpoints, provider.store)
    endpoints.state.provider = provider
    endpoints.state.client = client
    endpoints.state.wire = wire
    endpoints.state.dials = Bucket()
    door = Door(endpoints, wire, provider)
    endpoints.state.requests = door.log
    return door


def _stop_if_broken(timer: asyncio.Task[None]) -> None:
    """A sandbox whose calls never end would mislead; better none at all."""
    if not timer.cancelled() and timer.exception() is not None:
        print(f"The timers have failed: {timer.exception()!r}", file=sys.stderr, flush=True)
        timer.get_loop().call_soon(sys.exit, 1)
