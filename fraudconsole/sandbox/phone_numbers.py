"""Phone numbers: list, get, buy, import, update, delete."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import bodies, countries, listing
from .bodies import Body, Check
from .errors import Refusal, malformed, missing_asset
from .provider import Provider
from .store import dump

COUNTRY_LISTS = ("allowed_inbound_country_list", "allowed_outbound_country_list")
COMMON_FIELDS: dict[str, Check] = {
    "nickname": bodies.nullable(bodies.text),
    "inbound_agents": bodies.nullable(bodies.weighted_agents),
    "outbound_agents": bodies.nullable(bodies.weighted_agents),
    "inbound_sms_agents": bodies.nullable(bodies.weighted_agents),
    "outbound_sms_agents": bodies.nullable(bodies.weighted_agents),
    "inbound_webhook_url": bodies.nullable(bodies.text),
    "inbound_sms_webhook_url": bodies.nullable(bodies.text),
    "allowed_inbound_country_list": bodies.nullable(bodies.country_list),
    "allowed_outbound_country_list": bodies.nullable(bodies.country_list),
    "fallback_number": bodies.nullable(bodies.full_text),
}
TRUNK_FIELDS: dict[str, Check] = {
    "transport": bodies.nullable(bodies.one_of("TLS", "TCP", "UDP")),
    "termination_uri": bodies.full_text,
    "auth_username": bodies.full_text,
    "auth_password": bodies.full_text,
    "codecs": bodies.list_of(bodies.full_text),
}
BUY_FIELDS: dict[str, Check] = {
    **COMMON_FIELDS,
    "phone_number": bodies.e164,
    "area_code": bodies.whole,
    "country_code": bodies.one_of("US", "CA"),
    "number_provider": bodies.one_of("twilio", "telnyx"),
    "toll_free": bodies.flag,
    "transport": TRUNK_FIELDS["transport"],
}
IMPORT_FIELDS: dict[str, Check] = {
    **COMMON_FIELDS,
    "phone_number": bodies.full_text,
    "termination_uri": bodies.full_text,
    "sip_trunk_auth_username": bodies.text,
    "sip_trunk_auth_password": bodies.text,
    "transport": TRUNK_FIELDS["transport"],
    "codecs": TRUNK_FIELDS["codecs"],
    "ignore_e164_validation": bodies.flag,
}
SEED_FIELDS: dict[str, Check] = {
    **COMMON_FIELDS,
    "phone_number": bodies.full_text,
    "phone_number_type": bodies.one_of("retell-twilio", "retell-telnyx", "custom"),
    "phone_number_pretty": bodies.nullable(bodies.text),
    "area_code": bodies.nullable(bodies.whole),
    "last_modification_timestamp": bodies.whole,
    "sip_outbound_trunk_config": bodies.nullable(bodies.mapping),
}
DEFAULT_AREA_CODES = {"US": 415, "CA": 416}


def find(provider: Provider, number: str) -> Body | None:
    row = provider.store.row("SELECT body FROM phone_numbers WHERE phone_number = ?", number)
    return json.loads(row["body"]) if row else None


def owned(provider: Provider, number: str) -> Body:
    body = find(provider, number)
    if body is None:
        raise missing_asset()
    return body


def _owned_by(request: Request) -> tuple[str, ...]:
    """How the numbers begin that belong to the account of the request's key."""
    provider: Provider = request.app.state.provider
    return tuple(provider.settings["accounts"].get(request.scope["key"], [""]))


def _asked_for(request: Request) -> Body:
    number = request.path_params["number"]
    if not number.startswith(_owned_by(request)):
        raise missing_asset()
    return owned(request.app.state.provider, number)


def _shown(provider: Provider, body: Body) -> Body:
    if provider.settings["shown_lists"] == "as_sent":
        return body
    lists = {name: body[name] for name in COUNTRY_LISTS if body.get(name)}
    return {**body, **{name: sorted((code.lower() for code in codes), reverse=True) for name, codes in lists.items()}}


def save(provider: Provider, body: Body) -> None:
    provider.store.execute(
        "INSERT INTO phone_numbers (phone_number, body) VALUES (?, ?)"
        " ON CONFLICT (phone_number) DO UPDATE SET body = excluded.body",
        *(body["phone_number"], dump(body)),
    )


def described(number: str) -> Body:
    """What follows from the number itself."""
    facts: Body = {"phone_number": number}
    pretty = countries.pretty(number)
    if pretty is not None:
        facts["phone_number_pretty"] = pretty
    if number.startswith("+1") and len(number) == 12 and number[1:].isdigit():
        facts["area_code"] = int(number[2:5])
    return facts


def seed(provider: Provider, items: Any) -> list[str]:
    """Put numbers in as they are given, new ones and known ones."""
    names = []
    for index, item in enumerate(bodies.list_of(bodies.mapping)("numbers", items)):
        try:
            fields = bodies.checked(item, SEED_FIELDS, required=("phone_number",))
        except Refusal as refusal:
            raise Refusal(refusal.status, f"numbers[{index}]: {refusal.message}") from refusal
        basis = {"phone_number_type": "retell-twilio", "last_modification_timestamp": provider.now()}
        save(provider, {**described(fields["phone_number"]), **basis, **fields})
        names.append(fields["phone_number"])
    return names


async def list_numbers(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    query = request.query_params
    limit_text = query.get("limit")
    if limit_text is not None and not limit_text.isascii():
        raise malformed("limit", "must be an integer")
    limit = listing.page_limit(int(limit_text) if limit_text and limit_text.isdigit() else limit_text)
    descending = listing.is_descending(query.get("sort_order"))
    beginnings = [f"{beginning}*" for beginning in _owned_by(request)]
    mine = " OR ".join(["phone_number GLOB ?"] * len(beginnings)) or "0"
    sql, values = f"SELECT seq, body FROM phone_numbers WHERE ({mine})", [*beginnings]  # noqa: S608 - marks only
    if query.get("pagination_key"):
        sql += " AND seq < ?" if descending else " AND seq > ?"
        values += listing.decode_cursor(query["pagination_key"], 1)
    sql += f" ORDER BY seq {'DESC' if descending else 'ASC'} LIMIT ?"
    rows = provider.store.execute(sql, *values, limit + 1).fetchall()
    items = [_shown(provider, json.loads(row["body"])) for row in rows[:limit]]
    answer: Body = {"items": items, "has_more": len(rows) > limit}
    if answer["has_more"]:
        answer["pagination_key"] = listing.encode_cursor(rows[limit - 1]["seq"])
    return JSONResponse(answer)


async def get_number(request: Request) -> Response:
    return JSONResponse(_shown(request.app.state.provider, _asked_for(request)))


async def buy_number(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    fields = bodies.checked(await bodies.read_body(request), BUY_FIELDS)
    number = fields.pop("phone_number", None) or _free_number(provider, fields)
    if find(provider, number) is not None or not countries.is_valid(number):
        raise Refusal(400, f"The phone number {number} is not available.")
    number_provider = fields.pop("number_provider", "twilio")
    for name in ("area_code", "country_code", "toll_free", "transport"):
        fields.pop(name, None)
    body = {
        **described(number),
        "phone_number_type": f"retell-{number_provider}",
        "last_modification_timestamp": provider.now(),
        **fields,
    }
    save(provider, body)
    return JSONResponse(body, 201)


def _free_number(provider: Provider, fields: Body) -> str:
    area = 800 if fields.get("toll_free") else fields.get("area_code")
    country = fields.get("country_code", "US")
    area = area or DEFAULT_AREA_CODES[country]
    # The range reserved for fiction first, then the rest of the exchange.
    for line in (*range(100, 200), *range(200, 10_000)):
        number = f"+1{area}555{line:04d}"
        if not countries.is_valid(number) or (area != 800 and countries.country_of(number) != country):
            break
        if find(provider, number) is None:
            return number
    raise Refusal(400, f"No phone numbers are available in the area code {area} of {country}.")


async def import_number(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    sent = await bodies.read_body(request)
    fields = bodies.checked(sent, IMPORT_FIELDS, required=("phone_number", "termination_uri"))
    number = fields.pop("phone_number")
    if not fields.pop("ignore_e164_validation", True):
        bodies.e164("phone_number", number)
    if find(provider, number) is not None:
        raise Refusal(400, f"The phone number {number} has been imported already.")
    fields.pop("sip_trunk_auth_password", None)
    trunk = {
        "termination_uri": fields.pop("termination_uri"),
        "auth_username": fields.pop("sip_trunk_auth_username", None),
        "transport": fields.pop("transport", None) or "TCP",
        "codecs": fields.pop("codecs", []),
    }
    body = {
        **described(number),
        "phone_number_type": "custom",
        "last_modification_timestamp": provider.now(),
        **fields,
        "sip_outbound_trunk_config": {name: value for name, value in trunk.items() if value is not None},
    }
    save(provider, body)
    return JSONResponse(body, 201)


async def update_number(request: Request) -> Response:
    """Change the fields sent: null clears, what is not sent stays."""
    provider: Provider = request.app.state.provider
    sent = await bodies.read_body(request)
    fields = bodies.checked(sent, {**COMMON_FIELDS, **TRUNK_FIELDS})
    body = _asked_for(request)
    trunk = {name: fields.pop(name) for name in TRUNK_FIELDS if name in fields}
    trunk.pop("auth_password", None)
    if trunk:
        body["sip_outbound_trunk_config"] = {**(body.get("sip_outbound_trunk_config") or {}), **trunk}
    if sent:
        # Strictly later than before, so that a reader can tell two changes within a millisecond apart.
        modified_at = max(provider.now(), body["last_modification_timestamp"] + 1)
        body.update(fields, last_modification_timestamp=modified_at)
        save(provider, body)
    return JSONResponse(_shown(provider, body))


async def delete_number(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    number = _asked_for(request)["phone_number"]
    provider.store.execute("DELETE FROM phone_numbers WHERE phone_number = ?", number)
    return Response(status_code=204)
