"""Telling the customer's systems how far a KYC record is: a row for each telling, signed, repeated until it arrives."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import orjson
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from accounts import audit, encryption, public_addresses
from accounts.audit import Acting
from accounts.models import KycDelivery, KycRecord, KycTransition, KycWebhook, Workspace
from accounts.scoping import scoped, unscoped
from accounts.workspaces import taking_turns

logger = logging.getLogger(__name__)

MOST_WEBHOOKS = 5
SIGNATURE = "X-Fraudconsole-Signature"
STATE_CHANGED, REVERIFICATION_DUE = "kyc_record.state_changed", "kyc_record.reverification_due"
LEASE = timedelta(seconds=60)
TIMEOUT_SECONDS = 10.0
# About three days in all.
PAUSES: Final = (10, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 43200, 86400)


def add_webhook(*, workspace: Workspace, url: str, acting_user: Acting, now: datetime) -> tuple[KycWebhook, str]:
    """Notes an address; answers its signing secret, which is not shown again. Raises ValidationError."""
    refuse_address(url)
    secret = f"whsec_{secrets.token_urlsafe(32)}"
    with taking_turns(workspace.pk):
        if KycWebhook.objects.filter(stopped_at=None).count() >= MOST_WEBHOOKS:
            raise ValidationError({"url": f"There are {MOST_WEBHOOKS} webhooks already; stop one first."})
        row = KycWebhook(workspace=workspace, url=url, created_at=now)
        row.secret = encryption.seal(**_place(row), secret=secret)
        row.save()
        _tell(row, "kyc_webhook.add", acting_user, now)
    return row, secret


def stop_webhook(*, webhook: KycWebhook, acting_user: Acting, now: datetime) -> None:
    """Ends it at once; what was still to be told is not told any more."""
    with taking_turns(webhook.workspace_id):
        if KycWebhook.objects.filter(pk=webhook.pk, stopped_at=None).update(stopped_at=now):
            KycDelivery.objects.filter(webhook=webhook, due_at__isnull=False).update(due_at=None, gave_up_at=now)
            _tell(webhook, "kyc_webhook.stop", acting_user, now)


def refuse_address(url: str) -> None:
    """Raises ValidationError for what is no address on the public internet. A name is looked up when it is asked."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or not url.isprintable() or " " in url or len(url) > 500:
        raise ValidationError({"url": "Write a whole address that begins with https://."})
    if parts.username or parts.password:
        raise ValidationError({"url": "Leave user name and password out: whoever sees the address would read them."})
    loopback = settings.CHAINED_WEBHOOKS_ON_LOOPBACK
    try:
        address = ipaddress.ip_address(host)
        is_loopback, is_inside = address.is_loopback, not public_addresses.is_public(address)
    except ValueError:
        is_loopback = is_inside = host == "localhost"
    if is_inside and not (is_loopback and loopback):
        raise ValidationError({"url": f"The address must be on the public internet; {host} is not."})
    if parts.scheme != "https" and not is_loopback:
        raise ValidationError({"url": "The address must begin with https://: it is told about people."})


def announce(row: KycRecord, transition: KycTransition) -> None:
    """Schedules the telling of a change of state, in its transaction. What is for colleagues is not told."""
    told = {
        "state": row.state,
        "previous_state": transition.from_state,
        "sequence": transition.sequence,
        "reason_codes": transition.reason_codes,
        "text_for_subject": transition.text_for_subject,
    }
    _schedule(row, STATE_CHANGED, transition.at, told)


def announce_reverification(row: KycRecord, renewal: KycRecord, *, now: datetime) -> None:
    _schedule(row, REVERIFICATION_DUE, now, {"state": row.state, "renewal": renewal.pk})


def _schedule(row: KycRecord, event: str, at: datetime, told: dict[str, Any]) -> None:
    webhooks = list(KycWebhook.objects.filter(stopped_at=None))
    if not webhooks:
        return
    record = {
        "id": row.pk,
        "subject": row.subject.reference,
        "level": row.level,
        "expires_at": row.expires_at and row.expires_at.astimezone(UTC).isoformat(),
        **told,
    }
    event_id = uuid.uuid4()
    body = {"id": str(event_id), "event": event, "at": at.astimezone(UTC).isoformat(), "kyc_record": record}
    text = orjson.dumps(body).decode()
    KycDelivery.objects.bulk_create(
        KycDelivery(workspace_id=row.workspace_id, webhook=webhook, record=row, body=text, created_at=at, due_at=at)
        for webhook in webhooks
    )


def due_deliveries(*, now: datetime, most: int = 100) -> list[uuid.UUID]:
    """Of every workspace, those whose time has come and that nobody is at."""
    free = models.Q(leased_until=None) | models.Q(leased_until__lte=now)
    with unscoped(reason="deliveries of every workspace come due"):
        rows = KycDelivery.objects.filter(free, due_at__lte=now).order_by("due_at")
        return list(rows.values_list("pk", flat=True)[:most])


def deliver(delivery_id: uuid.UUID, *, now: datetime) -> bool:
    """Sends one row, once; answers whether it arrived. Who is second finds it leased."""
    free = models.Q(leased_until=None) | models.Q(leased_until__lte=now)
    with unscoped(reason="a delivery names its workspace"):
        mine = KycDelivery.objects.filter(free, pk=delivery_id, due_at__lte=now)
        if not mine.update(leased_until=now + LEASE, attempts=models.F("attempts") + 1):
            return False
        row = KycDelivery.objects.select_related("webhook").get(pk=delivery_id)
    with scoped(row.workspace_id):
        trouble = _post(row, now)
        still_due = KycDelivery.objects.filter(pk=row.pk, due_at__isnull=False)
        if not trouble:
            still_due.update(delivered_at=now, due_at=None, leased_until=None, trouble="")
        elif row.attempts > len(PAUSES):
            still_due.update(gave_up_at=now, due_at=None, leased_until=None, trouble=trouble)
        else:
            due_at = now + timedelta(seconds=PAUSES[row.attempts - 1])
            still_due.update(due_at=due_at, leased_until=None, trouble=trouble)
    return not trouble


def signature(body: bytes, secret: str, now: datetime) -> str:
    """`t=<seconds>,v1=<HMAC-SHA256 of "t.body" in hexadecimal>`."""
    seconds = int(now.timestamp())
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def _post(row: KycDelivery, now: datetime) -> str:
    """What went wrong; empty where it arrived."""
    body = row.body.encode()
    try:
        secret = encryption.unseal(**_place(row.webhook), sealed=row.webhook.secret)
        address = httpx.URL(row.webhook.url)
        host = address.raw_host.decode()
        port = address.port or (443 if address.scheme == "https" else 80)
        target = public_addresses.resolve(host, port, or_loopback=settings.CHAINED_WEBHOOKS_ON_LOOPBACK)
        headers = {
            "Host": address.netloc.decode(),
            "Content-Type": "application/json",
            "User-Agent": "fraudconsole",
            SIGNATURE: signature(body, secret, now),
        }
        with (
            httpx.Client(follow_redirects=False, trust_env=False, timeout=TIMEOUT_SECONDS) as client,
            client.stream(
                "POST",
                address.copy_with(host=target),
                content=body,
                headers=headers,
                extensions={"sni_hostname": host},
            ) as response,
        ):
            return "" if response.is_success else f"answered {response.status_code}"
    except encryption.CannotOpen:
        return "its signing secret cannot be opened"
    except public_addresses.NotPublic as problem:
        return f"was not asked: {problem}"
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as trouble:
        return f"cannot be reached ({type(trouble).__name__})"


def _place(row: KycWebhook) -> dict[str, Any]:
    return {"workspace_id": row.workspace_id, "model": "kycwebhook", "row": row.pk, "field": "secret"}


def _tell(row: KycWebhook, action: str, acting_user: Acting, now: datetime) -> None:
    after = {"url": row.url.partition("?")[0]}
    audit.record(
        workspace_id=row.workspace_id, action=action, subject=row, acting_user=acting_user, now=now, after=after
    )
