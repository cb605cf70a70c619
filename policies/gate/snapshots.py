"""What this process knows of each workspace: found by webhook address or credential, renewed when it has changed."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from typing import Final

from accounts.models import Workspace
from policies.gate import patience, store
from policies.gate.loading import Credential, LoadedSnapshot, could_be_credential, endpoints_of, load

__all__ = [
    "POLL_SECONDS",
    "Credential",
    "LoadedSnapshot",
    "NoSuchEndpoint",
    "UnknownCredential",
    "for_credential",
    "for_endpoint",
    "forget",
    "load",
    "publish_all",
    "recheck",
    "reload",
]

POLL_SECONDS = 5.0
"""How often a process asks the database for the version while the live store is silent."""


MOST_UNKNOWN = 10_000
"""Texts that are remembered for being no credential; more would only fill the memory."""


class NoSuchEndpoint(Exception):
    """No workspace has this webhook address."""


class UnknownCredential(Exception):
    """The text is neither a gate key nor a valid API token."""


_ENDPOINT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_by_endpoint: dict[str, LoadedSnapshot] = {}
_by_credential: dict[str, str] = {}
_unknown: dict[str, float] = {}
_loading = threading.Lock()


def for_endpoint(endpoint: str) -> LoadedSnapshot:
    """The snapshot this process has, loaded on first use. Raises NoSuchEndpoint."""
    known = _by_endpoint.get(endpoint)
    return known or reload(endpoint)


def reload(endpoint: str) -> LoadedSnapshot:
    """Loads a workspace's snapshot from the database. Raises NoSuchEndpoint."""
    return patience.in_time(lambda: _reload(endpoint))


def _reload(endpoint: str) -> LoadedSnapshot:
    if not _ENDPOINT.fullmatch(endpoint):
        raise NoSuchEndpoint  # and nothing that a database could stumble over
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


def for_credential(text: str) -> tuple[LoadedSnapshot, Credential]:
    """The workspace that a gate key or API token belongs to. A key is found whatever its state: the judgement says
    what that means. Raises UnknownCredential.
    """
    if not could_be_credential(text):
        raise UnknownCredential
    digest = hashlib.sha256(text.encode()).hexdigest()
    endpoint = _by_credential.get(digest)
    if endpoint is not None:
        try:
            loaded = for_endpoint(endpoint)
            found = loaded.credential(text, digest)
        except NoSuchEndpoint:
            found = None
        if found is not None:
            return loaded, found
    elif _unknown.get(digest, 0.0) > time.monotonic():
        raise UnknownCredential
    return _look_up(text, digest)


def _look_up(text: str, digest: str) -> tuple[LoadedSnapshot, Credential]:
    """In the database; what is not there is not looked for again for a moment."""
    for endpoint in endpoints_of(text):
        loaded = for_endpoint(endpoint)
        found = loaded.credential(text, digest)
        if found is None:
            loaded = reload(endpoint)
            found = loaded.credential(text, digest)
        if found is not None:
            _by_credential[digest] = endpoint
            return loaded, found
    _by_credential.pop(digest, None)
    if len(_unknown) >= MOST_UNKNOWN:
        _unknown.clear()
    _unknown[digest] = time.monotonic() + POLL_SECONDS
    raise UnknownCredential


def publish_all() -> int:
    """Tells the live store every workspace's version: what a lost bell or an emptied store forgot. Answers how many.

    Raises RedisError.
    """
    versions = list(Workspace.objects.values_list("pk", "snapshot_version"))
    for workspace_id, version in versions:
        store.publish_version(workspace_id, version)
    return len(versions)


def forget() -> None:
    """Drops what this process has loaded."""
    _by_endpoint.clear()
    _by_credential.clear()
    _unknown.clear()
