"""What a web page's form needs to know of its gate key. Nothing here is secret, and nothing is decided by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.countries import NAMES, NO_TELEPHONES, SANCTIONED_SET
from policies.engine.holds import Subjects
from policies.engine.types import Channel, Direction, DirectionRules, KeySnapshot, NumberSnapshot, Reason, Snapshot
from policies.gate.loading import LoadedSnapshot
from policies.gate.outbound import origins
from policies.gate.outbound.credentials import Caller
from policies.gate.outbound.refusals import Refused, answer

CACHE_SECONDS: Final = 60
_DIALLED: Final = (Channel.PHONE_CALL, Channel.SMS)


def show(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Answers what the form is to offer. Raises Refused."""
    key, now = caller.credential.key, timezone.now()
    if key is None:
        raise Refused(403, "gate_key_required", "A form is asked for with a gate key, pk_…, not with an API token.")
    if not key.works_at(int(now.timestamp() * 1000)):
        raise Refused(401, Reason.KEY_DISABLED.value, "This gate key is revoked.")
    if not origins.is_allowed(caller.origin, key):
        raise Refused(403, Reason.ORIGIN_NOT_ALLOWED.value, "This web page is none of the gate key's.")
    response = answer(orjson.dumps(contents(caller.loaded, key, now=now)), status=200)
    response["Cache-Control"] = f"private, max-age={CACHE_SECONDS}"
    return response


def contents(loaded: LoadedSnapshot, key: KeySnapshot, *, now: datetime) -> dict[str, Any]:
    number = loaded.engine.numbers.get(key.phone_number)
    policy = loaded.engine.policies.get(number.policy_id) if number and number.policy_id is not None else None
    rules = policy.outbound if policy else None
    asks_captcha = key.captcha != "none"
    site_key = loaded.captcha_site_keys.get(key.id, "")
    return {
        "channels": [channel.value for channel in Channel if channel in key.channels],
        "countries": _countries(loaded.engine, key, number, rules, int(now.timestamp() * 1000)),
        "captcha": {"kind": key.captcha, "site_key": site_key} if asks_captcha else None,
        "kyc_required": _asks_for_kyc(key, rules),
    }


def _countries(
    snapshot: Snapshot, key: KeySnapshot, number: NumberSnapshot | None, rules: DirectionRules | None, at_ms: int
) -> list[dict[str, str]] | None:
    """Where the key's number may call now; None where nothing restricts it."""
    if rules is not None and rules.is_unrestricted:
        return None
    channels = [channel for channel in _DIALLED if channel in key.channels]
    codes = _open(snapshot, key, number, rules, channels, at_ms) if number and rules else ()
    return [{"code": code, "name": NAMES[code]} for code in sorted(codes, key=NAMES.__getitem__)]


def _open(
    snapshot: Snapshot,
    key: KeySnapshot,
    number: NumberSnapshot,
    rules: DirectionRules,
    channels: list[Channel],
    at_ms: int,
) -> Iterator[str]:
    for code in NAMES.keys() - SANCTIONED_SET - {NO_TELEPHONES}:
        about = Subjects(phone_number=number.e164, key=key.key, country=code)
        for channel in channels:
            listed = code in rules.countries or snapshot.opens.covering(about, Direction.OUTBOUND, channel, at_ms)
            if listed and not snapshot.holds.covering(about, Direction.OUTBOUND, channel, at_ms):
                yield code
                break


def _asks_for_kyc(key: KeySnapshot, rules: DirectionRules | None) -> bool:
    asked = [key.kyc_rules] + ([rules.kyc_rules] if rules else [])
    return key.kyc_level > 0 or any([*one.channels.values(), *one.exposure_tiers.values()] for one in asked)
