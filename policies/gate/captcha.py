"""Asks a captcha's verifier about a token. Whatever the verifier does, nobody waits for it longer than two seconds."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import httpx
import orjson
from django.conf import settings
from redis.exceptions import RedisError

from policies.engine.types import CaptchaAnswer, Channel, KeySnapshot
from policies.gate import store
from policies.gate.breaker import Breaker, Resting
from policies.gate.snapshots import LoadedSnapshot

logger = logging.getLogger(__name__)

BUDGET_SECONDS = 2.0
"""For all of it: address look-up, connection, TLS, headers and body, however slowly they drip."""
MOST_WAITING = 4
"""Requests of one process that may wait for a verifier at once; further ones are told at once that it is not there."""
PATIENCE_SECONDS = 0.25
"""How long a request waits for its turn, while the verifier is well."""
LARGEST_ANSWER_BYTES = 64 * 1024
LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Kind:
    """What an accepted answer of this kind says. Each token of theirs works once, and not for long."""

    lifetime_seconds: int
    has_score: bool = False
    names_action: bool = False  # always; where not, an action that is named must be right all the same


# https://developers.google.com/recaptcha/docs/v3 · https://developers.google.com/recaptcha/docs/verify
# https://docs.hcaptcha.com/#verify-the-user-response-server-side
# https://developers.cloudflare.com/turnstile/get-started/server-side-validation/
KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "recaptcha_v3": Kind(lifetime_seconds=120, has_score=True, names_action=True),
        "recaptcha_v2": Kind(lifetime_seconds=120),
        "hcaptcha": Kind(lifetime_seconds=120),
        "turnstile": Kind(lifetime_seconds=300),
    }
)
ACTIONS: Final[Mapping[Channel, frozenset[str]]] = MappingProxyType(
    {
        Channel.PHONE_CALL: frozenset({"call", "phone_call"}),
        Channel.SMS: frozenset({"sms"}),
        Channel.WEB_CALL: frozenset({"web_call"}),
        Channel.CHAT: frozenset({"chat"}),
    }
)
"""What a page names when it asks for a token; one that was made for a chat starts no call."""

_TOKEN: Final = re.compile(r"[!-~]{1,8192}")  # the providers' own are of 500 to 4,000 characters
_EXPIRED: Final = "timeout-or-duplicate"  # a duplicate of our own is recognised before
_OUR_SECRET: Final = frozenset(
    {"missing-input-secret", "invalid-input-secret", "invalid-keys", "sitekey-secret-mismatch"}
)
_THEIR_TROUBLE: Final = "internal-error"


class Unreachable(Exception):
    """The verifier was not asked, or gave no answer that says anything."""


class Replayed(Exception):
    """This token was shown here before."""


def verifier(
    loaded: LoadedSnapshot, key: KeySnapshot, *, token: Any, channel: Channel, ip: str | None, now: datetime
) -> Callable[[], CaptchaAnswer] | None:
    """What asks about the token that came with an attempt; None where there is no token or nobody to ask."""
    if key.captcha not in KINDS or token in (None, ""):
        return None
    return partial(
        verify,
        key.captcha,
        token,
        secret=loaded.captcha_secret(key.id),
        ip=ip,
        expected_actions=ACTIONS[channel],
        hostnames=key.domains,
        threshold=key.captcha_threshold,
        workspace_id=loaded.workspace_id,
        now=now,
    )


def verify(
    kind: str,
    token: Any,
    *,
    secret: str | None,
    ip: str | None,
    expected_actions: Collection[str],
    hostnames: Collection[str],
    threshold: float,
    workspace_id: int,
    now: datetime,
) -> CaptchaAnswer:
    """Never raises. A token that was asked about once is used up, whatever came of it."""
    terms = KINDS.get(kind)
    if terms is None or not _could_be_a_token(token):
        return CaptchaAnswer(kind, "rejected")
    if not secret:
        logger.error("Workspace %s asks for a %s and has given no secret for it: refused.", workspace_id, kind)
        return CaptchaAnswer(kind, "rejected")
    form = {"secret": secret, "response": token} | ({"remoteip": ip} if ip else {})
    try:
        with _turn(kind):
            if not _is_first_use(workspace_id, token):
                raise Replayed
            said = _ask(settings.CAPTCHA_VERIFY_URLS[kind], form)
    except (Unreachable, Resting):
        return CaptchaAnswer(kind, "unreachable")
    except Replayed:
        return CaptchaAnswer(kind, "replayed")
    problem = _problem(terms, said, expected_actions, hostnames, threshold, now)
    if problem == "rejected" and _OUR_SECRET.intersection(_codes(said)):
        logger.error("The verifier refuses the %s secret of workspace %s.", kind, workspace_id)
    return CaptchaAnswer(kind, problem, _score(said), _name(said, "action"), _name(said, "hostname"))


def _could_be_a_token(token: Any) -> bool:
    return isinstance(token, str) and _TOKEN.fullmatch(token) is not None


def _is_first_use(workspace_id: int, token: str) -> bool:
    digest = hashlib.sha256(token.encode()).hexdigest()
    try:
        return store.first_use_of_captcha(workspace_id, digest)
    except RedisError as trouble:
        logger.warning("The live store does not answer (%s); only the verifier knows whether a token is new.", trouble)
        return True


# --- What the verifier said -----------------------------------------------------------------------


def _problem(
    terms: Kind,
    said: Mapping[str, Any],
    expected_actions: Collection[str],
    hostnames: Collection[str],
    threshold: float,
    now: datetime,
) -> str:
    """The first thing that is wrong with an answer; empty when nothing is."""
    if said.get("success") is not True:
        return "expired" if _EXPIRED in _codes(said) else "rejected"
    if _name(said, "hostname").lower().rstrip(".") not in hostnames:
        return "wrong_hostname"
    action = _name(said, "action")
    if (terms.names_action or action) and action not in expected_actions:
        return "wrong_action"
    age = _age_seconds(said, now)
    if age is None:
        return "rejected"
    if abs(age) > terms.lifetime_seconds:
        return "expired"
    if not terms.has_score:
        return ""
    score = _score(said)
    if score is None:
        return "rejected"
    return "" if score >= threshold else "low_score"


def _codes(said: Mapping[str, Any]) -> list[str]:
    codes = said.get("error-codes")
    return [code for code in codes if isinstance(code, str)] if isinstance(codes, list) else []


def _name(said: Mapping[str, Any], field: str) -> str:
    value = said.get(field)
    return value[:LONGEST_NAME] if isinstance(value, str) else ""


def _score(said: Mapping[str, Any]) -> float | None:
    value = said.get("score")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def _age_seconds(said: Mapping[str, Any], now: datetime) -> float | None:
    try:
        made = datetime.fromisoformat(_name(said, "challenge_ts"))
        return (now - made).total_seconds()
    except (ValueError, TypeError, OverflowError):  # a time without its zone says nothing
        return None


# --- Asking it ------------------------------------------------------------------------------------

_places = threading.BoundedSemaphore(MOST_WAITING)
_breakers: Mapping[str, Breaker] = {kind: Breaker(kind) for kind in KINDS}
_starting = threading.Lock()
_outside: tuple[asyncio.AbstractEventLoop, httpx.AsyncClient] | None = None


def forget() -> None:
    """Drops what this process has found out about the verifiers."""
    for breaker in _breakers.values():
        breaker.reset()


@contextmanager
def _turn(kind: str) -> Iterator[None]:
    """One of the few places in which a request may wait. Raises Unreachable or Resting."""
    breaker = _breakers[kind]
    if not _places.acquire(timeout=PATIENCE_SECONDS if breaker.is_well else 0):
        raise Unreachable("too many wait for it already")
    try:
        with breaker.trying(Unreachable):
            yield
    finally:
        _places.release()


def _ask(url: str, form: Mapping[str, str]) -> dict[str, Any]:
    loop, client = _reach_outside()
    asked = asyncio.run_coroutine_threadsafe(_post(client, url, form), loop)
    try:
        status, body = asked.result(BUDGET_SECONDS + 0.5)
        said = orjson.loads(body)
    except Exception as trouble:  # of whatever kind: without an answer nothing is known
        asked.cancel()
        raise Unreachable(f"{type(trouble).__name__} {trouble}".strip()) from None
    understood = isinstance(said, dict) and isinstance(said.get("success"), bool)
    if not understood or (status != httpx.codes.OK and (said["success"] or status >= 500)):
        raise Unreachable(f"it answered {status} and nothing that can be understood")
    if _THEIR_TROUBLE in _codes(said):
        raise Unreachable("it says that it is in trouble")
    return said


async def _post(client: httpx.AsyncClient, url: str, form: Mapping[str, str]) -> tuple[int, bytes]:
    async with asyncio.timeout(BUDGET_SECONDS), client.stream("POST", url, data=form) as response:
        body = b""
        async for chunk in response.aiter_raw():  # packed or not, as it came: nothing can unfold here
            body += chunk
            if len(body) > LARGEST_ANSWER_BYTES:
                raise ValueError("its answer is larger than it can be")
        return response.status_code, body


def _reach_outside() -> tuple[asyncio.AbstractEventLoop, httpx.AsyncClient]:
    """This process's one thread for verifiers; made on first use, so after gunicorn has forked.

    Only an event loop can end a request at a moment, in whatever part of it the time went.
    """
    global _outside
    with _starting:
        if _outside is None:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="captcha", daemon=True).start()
            client = httpx.AsyncClient(
                headers={"Accept-Encoding": "identity"},
                timeout=BUDGET_SECONDS,
                follow_redirects=False,
                trust_env=False,
            )
            _outside = loop, client
        return _outside
