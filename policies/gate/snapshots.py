"""Rows → what the gate needs to know of a workspace, kept in the process and renewed when it has changed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from accounts import workspaces
from accounts.models import Workspace
from accounts.scoping import scoped
from accounts.workspaces import WebhookSecret
from policies.engine.types import Holds, NumberSnapshot, PolicySnapshot, Snapshot
from policies.gate import store
from policies.held import as_snapshot, in_force
from policies.models import CountryPolicy, PhoneNumber

POLL_SECONDS = 5.0
"""How often a process asks the database for the version while the live store is silent."""


class NoSuchEndpoint(Exception):
    """No workspace has this webhook address."""


@dataclass(frozen=True, slots=True)
class LoadedSnapshot:
    """One workspace as the gate sees it: what the engine judges by, and what the door needs."""

    workspace_id: int
    version: int
    engine: Snapshot
    webhook_secrets: tuple[WebhookSecret, ...]
    checked_at: float

    def secrets_at(self, now: datetime) -> list[str]:
        """A snapshot may be older than the end of a key's grace."""
        return [secret.text for secret in self.webhook_secrets if secret.until is None or now < secret.until]

    def age_seconds(self) -> float:
        """Since the database last told that this is the newest."""
        return time.monotonic() - self.checked_at


_by_endpoint: dict[str, LoadedSnapshot] = {}
_loading = threading.Lock()


def for_endpoint(endpoint: str) -> LoadedSnapshot:
    """The snapshot this process has, loaded on first use. Raises NoSuchEndpoint."""
    known = _by_endpoint.get(endpoint)
    return known or reload(endpoint)


def reload(endpoint: str) -> LoadedSnapshot:
    """Loads a workspace's snapshot from the database. Raises NoSuchEndpoint."""
    asked_at = time.monotonic()
    with _loading:
        known = _by_endpoint.get(endpoint)
        if known is not None and known.checked_at > asked_at:
            return known  # somebody else has just loaded it, for all who waited
        workspace = Workspace.objects.filter(endpoint=endpoint).first()
        if workspace is None:
            _by_endpoint.pop(endpoint, None)
            raise NoSuchEndpoint
        loaded = load(workspace.pk)
        _by_endpoint[endpoint] = loaded
        return loaded


def recheck(endpoint: str, loaded: LoadedSnapshot) -> LoadedSnapshot:
    """For the time without a live store: at most every 5 s, is there a newer version in the database?"""
    if loaded.age_seconds() < POLL_SECONDS:
        return loaded
    return reload(endpoint)


def load(workspace_id: int) -> LoadedSnapshot:
    """Reads a workspace from the database. Raises Workspace.DoesNotExist."""
    checked_at = time.monotonic()
    # The version first: what changes while the rest is read makes this snapshot old, never wrongly new.
    workspace = Workspace.objects.get(pk=workspace_id)
    now = timezone.now()
    with scoped(workspace_id):
        numbers = [
            NumberSnapshot(id=row.pk, e164=row.e164, policy_id=row.policy_id)
            for row in PhoneNumber.objects.only("pk", "e164", "policy_id")
        ]
        policies = [
            PolicySnapshot.from_dict(
                {
                    "id": policy.pk,
                    "revision": policy.current_revision.number,
                    "inbound": policy.current_revision.inbound,
                    "outbound": policy.current_revision.outbound,
                }
            )
            for policy in CountryPolicy.objects.select_related("current_revision").exclude(current_revision=None)
        ]
        holds = in_force(now)
        secrets = workspaces.webhook_secrets(workspace_id, now)
    engine = Snapshot(
        workspace_id=workspace_id,
        version=workspace.snapshot_version,
        home_country=str(workspace.home_country),
        numbers={number.e164: number for number in numbers},
        policies={policy.id: policy for policy in policies},
        holds=Holds.of(as_snapshot(hold) for hold in holds),
    )
    return LoadedSnapshot(workspace_id, workspace.snapshot_version, engine, tuple(secrets), checked_at)


def publish_all() -> int:
    """Tells the live store every workspace's version: what a lost bell or an emptied store forgot. Answers how many."""
    versions = list(Workspace.objects.values_list("pk", "snapshot_version"))
    for workspace_id, version in versions:
        store.publish_version(workspace_id, version)
    return len(versions)


def forget() -> None:
    """Drops what this process has loaded."""
    _by_endpoint.clear()
