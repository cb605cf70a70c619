"""Who asks at the outbound doors: the credential that was shown, and the end user behind it as far as it is known."""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from django.http import HttpRequest

from accounts import end_user_tokens, keys, leaks, tokens, workspaces
from accounts.addresses import client_address
from policies.engine.types import Reason
from policies.gate import snapshots
from policies.gate.loading import Credential, LoadedSnapshot
from policies.gate.outbound.refusals import Refused, unprocessable

logger = logging.getLogger(__name__)

LONGEST_CREDENTIAL: Final = 512
LONGEST_SUBJECT: Final = 120
LONGEST_ORIGIN: Final = 255

USER_ID, USER_IP, USER_TOKEN = "X-End-User-Id", "X-End-User-IP", "X-End-User-Token"

_UNKNOWN: Final = "This is no credential of the gate. Send “Authorization: Bearer” with a gate key or an API token."


@dataclass(frozen=True, slots=True)
class Caller:
    """`ip` and `subject` are the end user's. `destination`: the only number their token is for."""

    text: str = field(repr=False)
    loaded: LoadedSnapshot = field(repr=False)
    credential: Credential
    ip: str | None
    subject: str | None
    origin: str
    destination: str | None = None

    @property
    def reference(self) -> str:
        return self.credential.reference

    @property
    def is_page(self) -> bool:
        return self.credential.key is not None


def shown(request: HttpRequest) -> str:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def is_page(request: HttpRequest) -> bool:
    """Whether the answer may be read by anybody: what was shown is, or claims to be, a gate key."""
    return shown(request).startswith(keys.MARK)


def identify(request: HttpRequest, *, now: datetime) -> Caller:
    """Raises Refused."""
    text = shown(request)
    origin = request.headers.get("Origin", "")[:LONGEST_ORIGIN]
    origin = origin if origin.isprintable() else ""
    if not text or len(text) > LONGEST_CREDENTIAL:
        raise _unknown()
    if not text.startswith((keys.MARK, tokens.MARK)):
        raise _refuse_private_key(text, request, origin, now)
    try:
        loaded, credential = snapshots.for_credential(text)
    except snapshots.UnknownCredential:
        raise _unknown() from None
    if credential.key is None:
        return _behind_backend(request, text, loaded, credential, origin)
    return _behind_page(request, text, loaded, credential, origin, now)


def renewed(caller: Caller) -> Caller:
    """The same caller by the newest snapshot. Raises UnknownCredential where the credential has ended meanwhile."""
    snapshots.reload(caller.loaded.endpoint)
    loaded, credential = snapshots.for_credential(caller.text)
    return replace(caller, loaded=loaded, credential=credential)


def _behind_backend(
    request: HttpRequest, text: str, loaded: LoadedSnapshot, credential: Credential, origin: str
) -> Caller:
    if USER_TOKEN in request.headers:
        raise unprocessable(USER_TOKEN, f"is for gate keys; an API token names its end user in {USER_ID}.")
    return Caller(text, loaded, credential, _vouched_ip(request), _vouched_subject(request), origin)


def _behind_page(
    request: HttpRequest, text: str, loaded: LoadedSnapshot, credential: Credential, origin: str, now: datetime
) -> Caller:
    for header in (USER_ID, USER_IP):
        if header in request.headers:
            raise unprocessable(header, f"nobody vouches for it with a gate key. Send {USER_TOKEN}.")
    subject, destination = None, None
    if USER_TOKEN in request.headers:
        try:
            user = end_user_tokens.read(request.headers[USER_TOKEN], workspace_id=loaded.workspace_id, now=now)
        except end_user_tokens.InvalidEndUserToken as problem:
            raise unprocessable(USER_TOKEN, str(problem)) from None
        subject, destination = user.subject, user.destination
    return Caller(text, loaded, credential, client_address(request) or None, subject, origin, destination)


def _vouched_subject(request: HttpRequest) -> str | None:
    if USER_ID not in request.headers:
        return None
    try:
        subject = request.headers[USER_ID].encode("latin-1").decode().strip()  # WSGI reads every header as Latin-1
    except UnicodeError:
        raise unprocessable(USER_ID, "is not text in UTF-8.") from None
    if not subject or len(subject) > LONGEST_SUBJECT or not subject.isprintable():
        raise unprocessable(USER_ID, f"must have 1 to {LONGEST_SUBJECT} characters, all of them visible.")
    return subject


def _vouched_ip(request: HttpRequest) -> str | None:
    if USER_IP not in request.headers:
        return None
    text = request.headers[USER_IP].strip()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise unprocessable(USER_IP, "is not an IP address such as 203.0.113.7 or 2001:db8::7.") from None
    if getattr(address, "scope_id", None):
        raise unprocessable(USER_IP, "names a network interface; send the bare address.")
    return str(getattr(address, "ipv4_mapped", None) or address)


def _refuse_private_key(text: str, request: HttpRequest, origin: str, now: datetime) -> Refused:
    """UponAI's own key may have been shown: in a web page it has leaked, from a backend it is a mistake."""
    row = workspaces.find_uponai_key(text, now=now) if text.isascii() and text.isprintable() else None
    if row is None:
        return _unknown()
    leaks.report_leak(key=row, origin=origin, ip=client_address(request), path=request.path, now=now)
    if origin:
        message = (
            "This is a private UponAI key, and whoever opens this page can see it and call with it. Replace it at "
            "UponAI and in the console now. A web page uses a gate key, pk_…"
        )
    else:
        message = (
            "This is the private UponAI key. The gate takes an API token of the console, fc_…, with the scope "
            "gate:write."
        )
    return Refused(401, Reason.UNKNOWN_KEY.value, message)


def _unknown() -> Refused:
    return Refused(401, Reason.UNKNOWN_KEY.value, _UNKNOWN, tells_page=True)
