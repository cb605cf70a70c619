"""The customer's own event webhooks, which go on getting UponAI's events behind ours. The only writer of Relay.

What a relay gets is noted in the transaction that keeps the event, so none is lost between the two. How it is sent:
`relaying`.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction

from accounts import audit
from accounts.audit import Acting
from accounts.kyc.webhooks import refuse_address
from accounts.models import Workspace
from accounts.scoping import scoped
from accounts.workspaces import taking_turns
from monitoring.models import Relay, RelayDelivery, WebhookEvent
from policies import bells

MOST_RELAYS: Final = 5
KNOWN_SECONDS: Final = 3.0
"""So old may be what a web process knows of a workspace's relays: a new one gets its first events so much later."""
RING_AT_MOST_EVERY_SECONDS: Final = 0.25

STOPPED: Final = "Somebody stopped this relay."
STOPPED_FOR_GOOD: Final = "This relay was stopped. Add its address again to pass on new events."
OURSELVES: Final = "This is an address of this console. Enter where your own system takes in UponAI's events."
THERE_ALREADY: Final = "Events are passed on to this address already."

State = RelayDelivery.State


# --- People ---------------------------------------------------------------------------------------


def add_relay(*, workspace: Workspace, url: str, acting_user: Acting, now: datetime) -> Relay:
    """Passes every event that comes from now on to `url` as well. Raises ValidationError naming the field."""
    url = url.strip()
    refuse_address(url)
    if _is_ours(url):
        raise ValidationError({"url": OURSELVES})
    with taking_turns(workspace.pk):
        present = Relay.objects.filter(stopped_at=None)
        if present.filter(url=url).exists():
            raise ValidationError({"url": THERE_ALREADY})
        if present.count() >= MOST_RELAYS:
            raise ValidationError({"url": f"There are {MOST_RELAYS} relays already; stop one first."})
        relay: Relay = Relay.objects.create(url=url, created_at=now)
        _tell(relay, "add", acting_user, now)
        transaction.on_commit(lambda: _known.pop(workspace.pk, None))
    return relay


def stop_relay(*, relay: Relay, acting_user: Acting, now: datetime) -> None:
    """Ends it at once; what was still to be passed on is not any more. Doing it twice changes nothing."""
    with taking_turns(relay.workspace_id):
        if Relay.objects.filter(pk=relay.pk, stopped_at=None).update(stopped_at=now, failing_since=None):
            give_up_waiting(relay, STOPPED)
            _tell(relay, "stop", acting_user, now)
            transaction.on_commit(lambda: _known.pop(relay.workspace_id, None))


def retry(*, relay: Relay, acting_user: Acting, now: datetime) -> int:
    """Sends everything again that was given up or waits for its next try. Answers how many events that are.

    Raises ValidationError for a relay that was stopped.
    """
    with taking_turns(relay.workspace_id):
        if Relay.objects.select_for_update().get(pk=relay.pk).stopped_at is not None:
            raise ValidationError({"stopped_at": STOPPED_FOR_GOOD})
        undelivered = RelayDelivery.objects.filter(relay=relay).exclude(state=State.DELIVERED)
        # What is under way just now is left to whoever is at it.
        count = undelivered.filter(lease_token=None).update(state=State.WAITING, attempts=0, due_at=now)
        _tell(relay, "retry", acting_user, now, deliveries=count)
        transaction.on_commit(ring)
    return count


def give_up_waiting(relay: Relay, because: str) -> None:
    waiting = RelayDelivery.objects.filter(relay=relay, state=State.WAITING)
    waiting.update(state=State.GIVEN_UP, due_at=None, lease_token=None, error=because)


def with_figures() -> models.QuerySet[Relay]:
    """The current workspace's relays, with how many of their events wait and how many were given up."""
    waiting, given_up = (models.Q(deliveries__state=state) for state in (State.WAITING, State.GIVEN_UP))
    return Relay.objects.annotate(
        waiting=models.Count("deliveries", filter=waiting), given_up=models.Count("deliveries", filter=given_up)
    )


def shown_url(url: str) -> str:
    """Without what may be a secret: what stands behind the question mark, and a name and password before the host."""
    scheme, mark, rest = url.partition("?")[0].partition("#")[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{mark}{authority.rpartition('@')[2]}{slash}{path}"


def _is_ours(url: str) -> bool:
    console, given = urlsplit(settings.CONSOLE_URL), urlsplit(url)
    return given.hostname == console.hostname and given.path.startswith("/hooks/")


def _tell(relay: Relay, action: str, acting_user: Acting, now: datetime, **more: object) -> None:
    audit.record(
        workspace_id=relay.workspace_id,
        action=f"relay.{action}",
        subject=Relay(pk=relay.pk, url=shown_url(relay.url)),
        acting_user=acting_user,
        now=now,
        after={"url": shown_url(relay.url), **more},
    )


# --- Events ---------------------------------------------------------------------------------------

_known: dict[int, tuple[float, tuple[int, ...]]] = {}


def active(workspace_id: int) -> tuple[int, ...]:
    """The relays of a workspace. Asked with every event, so it is remembered for a moment."""
    found = _known.get(workspace_id)
    if found is None or time.monotonic() > found[0]:
        with scoped(workspace_id):
            rows = tuple(Relay.objects.filter(stopped_at=None).order_by("pk").values_list("pk", flat=True))
        found = _known[workspace_id] = (time.monotonic() + KNOWN_SECONDS, rows)
    return found[1]


def schedule(workspace_id: int, event_key: str, *, signature: str, now: datetime) -> None:
    """Notes in the transaction that keeps an event that every relay is to get it, each once."""
    relay_ids = active(workspace_id)
    if not relay_ids:
        return
    event_id = WebhookEvent.objects.values_list("pk", flat=True).get(event_key=event_key)
    RelayDelivery.objects.bulk_create(
        [
            RelayDelivery(
                workspace_id=workspace_id, relay_id=relay_id, event_id=event_id, signature=signature[:200], due_at=now
            )
            for relay_id in relay_ids
        ],
        ignore_conflicts=True,
    )
    transaction.on_commit(ring)


_rung_at = -1.0


def ring() -> None:
    """Wakes the worker; a burst of events is one ring. What nobody heard, the sweep finds."""
    global _rung_at
    started = time.monotonic()
    if started - _rung_at >= RING_AT_MOST_EVERY_SECONDS:
        _rung_at = started
        bells.ring("monitoring.tasks.sweep_relays")


def forget() -> None:
    """Forgets which relays there are."""
    _known.clear()
