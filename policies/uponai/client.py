"""UponAI over HTTP: requests out, decoded bodies back, every trouble as one exception that says what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Self
from urllib.parse import quote

import httpx
import orjson
from django.conf import settings

CONNECT_SECONDS = 3
READ_SECONDS = 8
QUICK_READ_SECONDS = 2
TOTAL_SECONDS = 12
"""A body that drips in byte by byte passes every read timeout; this ends it."""
LARGEST_BODY_BYTES = 8 * 1024 * 1024
PAGE_SIZE = 1000  # the most that list-phone-numbers answers at once
LONGEST_RETRY_AFTER_SECONDS = 300.0
KEPT_CONNECTIONS = 16

UNAUTHORISED = 401
NOT_FOUND = {404, 422}  # the provider's newer and older ways to say it
OVER_ALREADY = {400, 404, 422}  # the answers to stopping a call that is not running
TEMPORARY = {408, 409, 429}
HOLDS_THE_WORKSPACE = {401, 429}  # nothing that is wrong with the one request
UNDECIDED = {408, 409}  # a refusal that leaves open whether the same request is being carried out already
NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class UponaiTrouble(Exception):
    """A request did not succeed.

    `permanent`: the same request will fail again. `ambiguous`: it may have been carried out all the same.
    `retry_after`: seconds that UponAI asked us to wait. `status`: of its answer, None without one.
    """

    def __init__(
        self,
        sentence: str,
        *,
        status: int | None = None,
        permanent: bool = False,
        ambiguous: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.permanent = permanent
        self.ambiguous = ambiguous
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Answer:
    """What UponAI answered to something that was to be started: byte for byte, for whoever asked."""

    status: int
    body: bytes
    retry_after: str = ""

    @property
    def is_refusal(self) -> bool:
        return httpx.codes.is_client_error(self.status)


class UponaiClient:
    """One workspace's client. Use as a context manager, so that its connections end."""

    def __init__(self, key: str, *, read_seconds: float = READ_SECONDS, http: httpx.Client | None = None) -> None:
        self._http = http or _open(settings.UPONAI_API_URL, key, read_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    def list_phone_numbers(self) -> Iterator[dict[str, Any]]:
        """All numbers of the account. Raises UponaiTrouble."""
        return chain.from_iterable(self.phone_number_pages())

    def phone_number_pages(self) -> Iterator[list[Any]]:
        """The same page by page: each is asked for when it is wanted."""
        parameters: dict[str, str | int] = {"limit": PAGE_SIZE}
        while True:
            page = self._ask("GET", "/v2/list-phone-numbers", params=parameters)
            if not isinstance(page, dict) or not isinstance(page.get("items"), list):
                raise UponaiTrouble("UponAI's list of phone numbers is not in the agreed form.")
            yield page["items"]
            following = page.get("pagination_key")
            if not page.get("has_more") or not following:
                return
            if following == parameters.get("pagination_key"):
                raise UponaiTrouble("UponAI's list of phone numbers has no end: the same page is named again.")
            parameters["pagination_key"] = following

    def get_account(self) -> dict[str, Any]:
        """Whose key it is. Raises UponaiTrouble."""
        return self._object(self._ask("GET", "/get-api-key-info"))

    def get_phone_number(self, e164: str) -> dict[str, Any]:
        return self._object(self._ask("GET", f"/get-phone-number/{quote(e164)}"))

    def update_phone_number(self, e164: str, changes: dict[str, Any]) -> dict[str, Any]:
        return self._object(self._ask("PATCH", f"/update-phone-number/{quote(e164)}", json=changes))

    def list_running_calls(self) -> Iterator[dict[str, Any]]:
        """All calls that are going on now, page by page. Raises UponaiTrouble."""
        running = {"call_status": {"type": "enum", "op": "in", "value": ["ongoing"]}}
        return chain.from_iterable(self.pages("/v3/list-calls", running, sort_order="descending"))

    def pages(
        self, path: str, criteria: dict[str, Any], *, limit: int = PAGE_SIZE, sort_order: str = "ascending"
    ) -> Iterator[list[Any]]:
        """Everything that meets the criteria, page by page: each is asked for when it is wanted."""
        body: dict[str, Any] = {"filter_criteria": criteria, "limit": limit, "sort_order": sort_order}
        while True:
            page = self._page(path, body)
            yield page["items"]
            if not page.get("has_more") or not page.get("pagination_key"):
                return
            body["pagination_key"] = page["pagination_key"]

    def get_concurrency(self) -> dict[str, Any]:
        return self._object(self._ask("GET", "/get-concurrency"))

    def list_calls(self, criteria: dict[str, Any]) -> list[Any]:
        """The newest calls that meet the criteria, one page of them. Raises UponaiTrouble."""
        return list(self._page("/v3/list-calls", {"filter_criteria": criteria, "limit": PAGE_SIZE})["items"])

    def list_chats(self, criteria: dict[str, Any]) -> list[Any]:
        """The newest chats that meet the criteria, one page of them. Raises UponaiTrouble."""
        return list(self._page("/v3/list-chats", {"filter_criteria": criteria, "limit": PAGE_SIZE})["items"])

    def stop_call(self, call_id: str) -> bool:
        """Ends a running call; False when it was over already. Raises UponaiTrouble."""
        try:
            self._ask("POST", f"/v2/stop-call/{quote(call_id, safe='')}")
        except UponaiTrouble as trouble:
            if trouble.status in OVER_ALREADY:
                return False
            raise
        return True

    # What is started here may not be started twice: none of these is ever repeated by itself.

    def create_phone_call(self, body: dict[str, Any]) -> Answer:
        """Raises UponaiTrouble where UponAI said neither yes nor no."""
        return self._start("/v2/create-phone-call", body, names="call_id")

    def create_sms_chat(self, body: dict[str, Any]) -> Answer:
        return self._start("/create-sms-chat", body, names="chat_id")

    def create_web_call(self, body: dict[str, Any]) -> Answer:
        return self._start("/v3/create-web-call", body, names="call_id")

    def create_chat(self, body: dict[str, Any]) -> Answer:
        return self._start("/create-chat", body, names="chat_id")

    def create_chat_completion(self, body: dict[str, Any]) -> Answer:
        return self._start("/create-chat-completion", body, names="messages")

    def _start(self, path: str, body: dict[str, Any], *, names: str) -> Answer:
        """An answer that does not name what was started says nothing of whether it was."""
        status, content, headers = self._exchange(
            "POST", path, content=orjson.dumps(body), headers={"Content-Type": "application/json"}
        )
        if status >= httpx.codes.INTERNAL_SERVER_ERROR or status in UNDECIDED:
            raise refusal(status, content, headers, ambiguous=True)
        answer = Answer(status, content, headers.get("Retry-After", ""))
        if answer.is_refusal:
            return answer
        if not httpx.codes.is_success(status) or not (decoded := _decoded(content)) or not decoded.get(names):
            raise UponaiTrouble("UponAI's answer is not in the agreed form.", status=status, ambiguous=True)
        return answer

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        """For `management`, which alone knows paths that UponAI does not document. Raises UponaiTrouble."""
        return self._ask(method, path, **arguments)

    def _page(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        page = self._ask("POST", path, json=body)
        if not isinstance(page, dict) or not isinstance(page.get("items"), list):
            raise UponaiTrouble("UponAI's list is not in the agreed form.")
        return page

    def _object(self, body: Any) -> dict[str, Any]:
        if not isinstance(body, dict):
            raise UponaiTrouble("UponAI's answer is not in the agreed form.", ambiguous=True)
        return body

    def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        status, body, headers = self._exchange(method, path, **arguments)
        if status >= httpx.codes.BAD_REQUEST:
            raise refusal(status, body, headers)
        try:
            return orjson.loads(body) if body else None
        except orjson.JSONDecodeError:
            raise UponaiTrouble("UponAI's answer is not JSON.", status=status, ambiguous=True) from None

    def _exchange(self, method: str, path: str, **arguments: Any) -> tuple[int, bytes, httpx.Headers]:
        deadline = time.monotonic() + TOTAL_SECONDS
        try:
            with self._http.stream(method, path, **arguments) as response:
                body = _read(response, deadline)
                return response.status_code, body, response.headers
        except NOTHING_SENT:
            raise UponaiTrouble("UponAI cannot be reached.") from None
        except httpx.TimeoutException:
            raise UponaiTrouble("UponAI did not answer in time.", ambiguous=True) from None
        except httpx.HTTPError as trouble:
            reason = type(trouble).__name__
            raise UponaiTrouble(f"The connection to UponAI broke ({reason}).", ambiguous=True) from None


def _open(url: str, key: str, read_seconds: float) -> httpx.Client:
    return httpx.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {key}"},
        timeout=httpx.Timeout(read_seconds, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=KEPT_CONNECTIONS),
        follow_redirects=False,
        trust_env=False,
    )


_kept_open = lru_cache(maxsize=256)(_open)


def connections(key: str, *, read_seconds: float = READ_SECONDS) -> httpx.Client:
    """This process's connections for a key, which stay open."""
    return _kept_open(settings.UPONAI_API_URL, key, read_seconds)


def shared(key: str) -> UponaiClient:
    """This process's client for a key, with connections that stay open: for requests somebody is waiting for."""
    return UponaiClient(key, http=connections(key))


def shared_and_quick(key: str) -> UponaiClient:
    """The same for a look that somebody waits for although it may bring nothing."""
    return UponaiClient(key, http=connections(key, read_seconds=QUICK_READ_SECONDS))


def _read(response: httpx.Response, deadline: float) -> bytes:
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > LARGEST_BODY_BYTES:
            raise UponaiTrouble("UponAI's answer is larger than it can be.", ambiguous=True)
        if time.monotonic() > deadline:
            raise UponaiTrouble("UponAI's answer took too long to arrive.", ambiguous=True)
    return body


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def refusal(status: int, body: bytes, headers: httpx.Headers, *, ambiguous: bool = False) -> UponaiTrouble:
    said = _message(body)
    if status == UNAUTHORISED:
        sentence = "UponAI refuses the workspace's key (401)."
    elif status in NOT_FOUND:
        sentence = f"UponAI does not know this number ({status})."
    else:
        sentence = f"UponAI answered {status}{': ' + said if said else ''}."
    server_side = status >= httpx.codes.INTERNAL_SERVER_ERROR
    return UponaiTrouble(
        sentence,
        status=status,
        permanent=not server_side and status not in TEMPORARY and status != UNAUTHORISED,
        ambiguous=ambiguous or server_side,
        retry_after=_retry_after(headers),
    )


def _message(body: bytes) -> str:
    return str(_decoded(body).get("message", "")).rstrip(".")[:200]


def _retry_after(headers: httpx.Headers) -> float | None:
    try:
        seconds = float(headers.get("Retry-After", ""))
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)
