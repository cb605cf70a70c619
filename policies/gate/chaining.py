"""The customer's own inbound webhook, asked behind ours with the very bytes that UponAI sent.

It has a deadline of its own, so that ours and theirs together stay under UponAI's, a few waiting places of its own, so
that one that hangs does not hold every thread, and a pause after several failures in a row. Whatever it does, there is
the console's own answer.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import httpx
import orjson
from django.conf import settings
from django.http import HttpRequest
from redis.exceptions import RedisError

from accounts import public_addresses
from policies.engine.types import Attempt, Channel, VerdictKind
from policies.gate import store
from policies.gate.inbound_judge import attempt_key
from policies.gate.loading import LoadedSnapshot
from policies.uponai import answers

logger = logging.getLogger(__name__)

DEADLINE_SECONDS: Final = 5.0
"""UponAI waits ten in all; our own decision may take two."""
LARGEST_ANSWER_BYTES: Final = 64 * 1024
MOST_WAITING_AT_ONE: Final = 4
FAILURES_IN_A_ROW: Final = 3
PAUSE_SECONDS: Final = 15.0
COUNTED_SECONDS: Final = 2 * 86_400

ANSWERED: Final = "answered"
MARK: Final = "X-Chained-By"
"""On every request of ours, so that one which comes back to a console is not sent round and round."""


@dataclass(frozen=True, slots=True)
class ChainedAnswer:
    """What the other webhook wants, without its envelope."""

    fields: Mapping[str, Any]


class _Failed(Exception):
    """The other webhook gave no answer that could be used; the words say why, and go to the number's page."""


# --- The answer to UponAI -------------------------------------------------------------------------


def answer_with_chain(
    loaded: LoadedSnapshot,
    attempt: Attempt,
    body: bytes,
    headers: Mapping[str, str],
    answer: bytes,
    verdict_kind: VerdictKind | None,
) -> bytes:
    """The console's recorded `answer` with what the customer's own webhook says to it; `answer` where there is none.

    `verdict_kind` None: a retry, which gets what the first delivery got. Nobody is asked about a call that is rejected.
    """
    url = webhook_of(loaded, attempt)
    if not url or MARK in headers:
        return answer
    try:
        return _merged(url, loaded, attempt, body, headers, answer, is_retry=verdict_kind is None)
    except Exception:
        logger.exception("The chained webhook's answer could not be used; the console's own stands.")
        return answer


def _merged(
    url: str,
    loaded: LoadedSnapshot,
    attempt: Attempt,
    body: bytes,
    headers: Mapping[str, str],
    answer: bytes,
    *,
    is_retry: bool,
) -> bytes:
    event, ours = next(iter(orjson.loads(answer).items()))
    if answers.is_rejected(ours):
        return answer
    key = _key(loaded.workspace_id, f"answer:{attempt_key(attempt).text}")
    earlier = _kept(key) if is_retry else None
    if earlier is not None:
        return earlier
    theirs, what_became = ask_chained(url, body, headers, event)
    told = answer if theirs is None else orjson.dumps({event: answers.merge_inbound(ours, theirs.fields)})
    _note(loaded.workspace_id, str(attempt.own_number), what_became)
    return _keep(key, told, attempt, is_retry=is_retry)


def webhook_of(loaded: LoadedSnapshot, attempt: Attempt) -> str:
    """Where the customer's own webhook for the called number is; empty where it has none."""
    answering = loaded.answering.get(attempt.own_number) if isinstance(attempt.own_number, str) else None
    if answering is None:
        return ""
    is_sms = attempt.channel == Channel.SMS
    return answering.chained_sms_webhook_url if is_sms else answering.chained_webhook_url


def headers_of(request: HttpRequest) -> dict[str, str]:
    """What of a webhook's headers goes on with its bytes: the signature, under the names it came under."""
    passed_on = (*settings.UPONAI_SIGNATURE_HEADERS, MARK)
    return {name: request.headers[name] for name in passed_on if name in request.headers}


# --- Asking ---------------------------------------------------------------------------------------


def ask_chained(
    url: str, body: bytes, headers: Mapping[str, str], event: str, deadline: float = DEADLINE_SECONDS
) -> tuple[ChainedAnswer | None, str]:
    try:
        return ChainedAnswer(_ask_within(url, body, headers, event, deadline)), ANSWERED
    except _Failed as failure:
        logger.warning("The chained webhook %s: %s; the console's own answer stands.", _shown(url), failure)
        return None, str(failure)


def _ask_within(url: str, body: bytes, headers: Mapping[str, str], event: str, deadline: float) -> Mapping[str, Any]:
    """In a thread of its own: neither a name server nor a body that drips in has a timeout that holds."""
    _enter(url)
    box: queue.SimpleQueue[dict[str, Any] | _Failed] = queue.SimpleQueue()
    work = threading.Thread(target=_work, args=(box, url, body, dict(headers), event, deadline), daemon=True)
    work.start()
    try:
        found = box.get(timeout=deadline)
    except queue.Empty:
        found = _Failed(f"did not answer within {deadline:g} seconds")
    _learn(url, failed=isinstance(found, _Failed))
    if isinstance(found, _Failed):
        raise found
    return found


def _work(
    box: queue.SimpleQueue[Any], url: str, body: bytes, headers: dict[str, str], event: str, deadline: float
) -> None:
    try:
        box.put(answers.read_answer(_fetch(url, body, headers, deadline), event))
    except _Failed as failure:
        box.put(failure)
    except answers.UnusableAnswer as problem:
        box.put(_Failed(f"gave an answer that UponAI would not take: {problem}"))
    except Exception as trouble:
        logger.exception("The chained webhook %s could not be asked.", _shown(url))
        box.put(_Failed(f"could not be asked ({type(trouble).__name__})"))
    finally:
        _leave(url)


def _fetch(url: str, body: bytes, headers: dict[str, str], deadline: float) -> bytes:
    ends_at = time.monotonic() + deadline
    try:
        address = httpx.URL(url)
        host = address.raw_host.decode()
        port = address.port or (443 if address.scheme == "https" else 80)
        target = public_addresses.resolve(host, port, or_loopback=settings.CHAINED_WEBHOOKS_ON_LOOPBACK)
        headers |= {
            "Host": address.netloc.decode(),
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            MARK: "fraudconsole",
        }
        with _client().stream(
            "POST",
            address.copy_with(host=target),
            content=body,
            headers=headers,
            timeout=max(0.1, ends_at - time.monotonic()),
            extensions={"sni_hostname": host},
        ) as response:
            if not response.is_success:
                raise _Failed(f"answered {response.status_code}")
            return _read(response, ends_at)
    except public_addresses.NotPublic as problem:
        raise _Failed(f"was not asked: {problem}") from None
    except httpx.TimeoutException:
        raise _Failed(f"did not answer within {deadline:g} seconds") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as trouble:
        raise _Failed(f"cannot be reached ({type(trouble).__name__})") from None


def _read(response: httpx.Response, ends_at: float) -> bytes:
    content = b""
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > LARGEST_ANSWER_BYTES:
            raise _Failed("gave a larger answer than such a webhook can have")
        if time.monotonic() > ends_at:
            raise _Failed("took too long to give its answer")
    return content


@cache
def _client() -> httpx.Client:
    # No connection is kept: two names can share an address, and must not share a connection proved for one of them.
    return httpx.Client(
        limits=httpx.Limits(max_keepalive_connections=0), follow_redirects=False, trust_env=False, cookies=None
    )


def _shown(url: str) -> str:
    """Without what may be a secret: user, password, query."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        return "(not an address)"
    return f"{address.scheme}://{address.host}{address.path}"


# --- Waiting places, and pauses -------------------------------------------------------------------


@dataclass(slots=True)
class _Manners:
    """How one webhook behaves, as this process has seen it."""

    waiting: int = 0
    failures: int = 0
    paused_until: float = 0.0


@dataclass(slots=True)
class _Waiting:
    lock: threading.Lock = field(default_factory=threading.Lock)
    by_url: dict[str, _Manners] = field(default_factory=dict)

    def total(self) -> int:
        return sum(manners.waiting for manners in self.by_url.values())


_waiting = _Waiting()


def _enter(url: str) -> None:
    """Takes a waiting place. Raises _Failed where there is none, or where the webhook is given a pause."""
    with _waiting.lock:
        manners = _waiting.by_url.setdefault(url, _Manners())
        if time.monotonic() < manners.paused_until:
            raise _Failed(f"failed {manners.failures} times in a row and is given a pause")
        if manners.waiting >= MOST_WAITING_AT_ONE or _waiting.total() >= settings.MOST_CHAINED_AT_ONCE:
            raise _Failed("was not asked: as many calls as may wait for it do so already")
        manners.waiting += 1


def _leave(url: str) -> None:
    """Only now the place is free: a thread that nobody waits for any more is still there."""
    with _waiting.lock:
        manners = _waiting.by_url[url]
        manners.waiting -= 1
        if not manners.waiting and not manners.failures:
            del _waiting.by_url[url]


def _learn(url: str, *, failed: bool) -> None:
    with _waiting.lock:
        # One that failed at once has left already, and taken its entry along.
        manners = _waiting.by_url.setdefault(url, _Manners()) if failed else _waiting.by_url.get(url)
        if manners is None:
            return
        manners.failures = manners.failures + 1 if failed else 0
        if manners.failures >= FAILURES_IN_A_ROW:
            manners.paused_until = time.monotonic() + PAUSE_SECONDS


def forget() -> None:
    """Forgets how webhooks behaved."""
    with _waiting.lock:
        _waiting.by_url = {
            url: _Manners(manners.waiting) for url, manners in _waiting.by_url.items() if manners.waiting
        }


# --- What is remembered ---------------------------------------------------------------------------


def _key(workspace_id: int, name: str) -> str:
    return f"fraudconsole:{{{workspace_id}}}:chained:{name}"


def _kept(key: str) -> bytes | None:
    """What the first delivery of the call was told."""
    try:
        with store.asking():
            kept: Any = store.connection().get(key)
    except RedisError as trouble:
        logger.warning("The live store does not answer (%s); the chained webhook is asked again.", trouble)
        return None
    return kept


def _keep(key: str, told: bytes, attempt: Attempt, *, is_retry: bool) -> bytes:
    """What is to be told now: this, or what a delivery of the same call that came meanwhile was told already."""
    is_id = attempt_key(attempt).is_id
    seconds = store.ANSWER_BY_ID_SECONDS if is_id else store.ANSWER_BY_PAIR_SECONDS
    try:
        # Without an id, what is kept may be of an earlier call of the same pair.
        with store.asking():
            is_first = store.connection().set(key, told, ex=seconds, nx=is_id or is_retry)
        if is_first:
            return told
        return _kept(key) or told
    except RedisError as trouble:
        logger.warning("The live store does not answer (%s); the chained webhook's answer is not kept.", trouble)
        return told


@dataclass(frozen=True, slots=True)
class ChainedRecord:
    """How often the webhook was asked today and how often it answered, and what went wrong last."""

    asked: int = 0
    answered: int = 0
    trouble: str = ""
    trouble_at: datetime | None = None


def record_of(workspace_id: int, e164: str, *, now: datetime) -> ChainedRecord | None:
    """What the number's chained webhooks did today; None where the live store does not answer."""
    try:
        with store.asking():
            found: Any = store.connection().hgetall(_day(workspace_id, e164, now))
    except RedisError:
        return None
    told = {name.decode(): value.decode() for name, value in found.items()}
    at = told.get("trouble_at")
    return ChainedRecord(
        int(told.get("asked", 0)),
        int(told.get(ANSWERED, 0)),
        told.get("trouble", ""),
        datetime.fromisoformat(at) if at else None,
    )


def _note(workspace_id: int, e164: str, what_became: str) -> None:
    now = datetime.now(UTC)
    key = _day(workspace_id, e164, now)
    pipeline = store.connection().pipeline(transaction=False)
    pipeline.hincrby(key, "asked", 1)
    if what_became == ANSWERED:
        pipeline.hincrby(key, ANSWERED, 1)
    else:
        pipeline.hset(key, mapping={"trouble": what_became, "trouble_at": now.isoformat()})
    pipeline.expire(key, COUNTED_SECONDS)
    try:
        with store.asking():
            pipeline.execute()
    except RedisError as trouble:
        logger.warning("The live store does not answer (%s); the chained webhook is not counted.", trouble)


def _day(workspace_id: int, e164: str, now: datetime) -> str:
    return _key(workspace_id, f"day:{e164}:{now.astimezone(UTC):%Y-%m-%d}")
