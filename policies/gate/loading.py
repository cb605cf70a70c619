"""Rows → what the gate needs to know of one workspace, at one version. Read whole, never changed afterwards."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts import encryption, keys, tokens, workspaces
from accounts.kyc import review
from accounts.models import ApiToken, KycRecord, KycTransition, PublicKey, Workspace
from accounts.scoping import scoped, unscoped
from accounts.workspaces import WebhookSecret
from policies import held
from policies.engine.limits import Limits
from policies.engine.reading import MalformedRules, read_limits
from policies.engine.types import (
    Approval,
    Channel,
    Holds,
    KeySnapshot,
    KycRules,
    NumberSnapshot,
    PolicySnapshot,
    Snapshot,
)
from policies.models import CountryPolicy, PhoneNumber

logger = logging.getLogger(__name__)

GATE_SCOPE: Final = "gate:write"


@dataclass(frozen=True, slots=True)
class TokenSnapshot:
    """An API token that opens the gate. Only its hash is known."""

    id: int
    sha256: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Credential:
    """What was shown at the gate: one of the workspace's keys, or a token of a backend."""

    row_id: int
    key: KeySnapshot | None = None

    @property
    def kind(self) -> str:
        return "key" if self.key is not None else "token"

    @property
    def reference(self) -> str:
        """The row, as decisions and dials name it."""
        return f"{self.kind}:{self.row_id}"


@dataclass(frozen=True, slots=True)
class Answering:
    """How one of our numbers is answered, beside what the judgement says."""

    chained_webhook_url: str = ""
    chained_sms_webhook_url: str = ""
    agents: tuple[Mapping[str, Any], ...] = ()  # where the console has to name the agent itself


@dataclass(frozen=True, slots=True)
class LoadedSnapshot:
    """One workspace as the gate sees it: what the engine judges by, and what the doors need."""

    workspace_id: int
    endpoint: str
    version: int
    engine: Snapshot
    webhook_secrets: tuple[WebhookSecret, ...]
    checked_at: float
    tokens: Mapping[str, TokenSnapshot] = field(default_factory=dict, repr=False)
    captcha_secrets: Mapping[int, str] = field(default_factory=dict, repr=False)
    captcha_site_keys: Mapping[int, str] = field(default_factory=dict)
    answering: Mapping[str, Answering] = field(default_factory=dict)

    def secrets_at(self, now: datetime) -> list[str]:
        """A snapshot may be older than the end of a key's grace."""
        return [secret.text for secret in self.webhook_secrets if secret.until is None or now < secret.until]

    @property
    def uponai_key(self) -> str | None:
        """The private key in use."""
        return next((secret.text for secret in self.webhook_secrets if secret.until is None), None)

    @property
    def token_ids(self) -> set[int]:
        """The tokens that opened the gate when this was read."""
        return {token.id for token in self.tokens.values()}

    def captcha_secret(self, key_id: int) -> str | None:
        return self.captcha_secrets.get(key_id)

    def credential(self, text: str, digest: str) -> Credential | None:
        """The key or the valid token with this text; `digest` is its SHA-256 in hexadecimal."""
        key = self.engine.keys.get(text)
        if key is not None:
            return Credential(key.id, key)
        token = self.tokens.get(tokens.prefix_of(text))
        if token is None or not hmac.compare_digest(token.sha256, digest):
            return None
        expired = token.expires_at is not None and token.expires_at <= timezone.now()
        return None if expired else Credential(token.id)

    def age_seconds(self) -> float:
        """Since the database last told that this is the newest."""
        return time.monotonic() - self.checked_at


def could_be_credential(text: str) -> bool:
    """Whether it is worth looking for: random text is not."""
    return keys.looks_like_key(text) or tokens.looks_like_token(text)


def endpoints_of(text: str) -> list[str]:
    """The webhook addresses of the workspaces that may know this credential."""
    with unscoped(reason="a credential tells its workspace"):
        if keys.looks_like_key(text):
            rows = PublicKey.objects.filter(key=text, kind=PublicKey.Kind.GATE_KEY)
        else:
            rows = ApiToken.objects.filter(prefix=tokens.prefix_of(text))
        return list(rows.values_list("workspace__endpoint", flat=True))


def load(workspace_id: int) -> LoadedSnapshot:
    """Reads a workspace from the database. Raises Workspace.DoesNotExist."""
    checked_at = time.monotonic()
    # The version first: what changes while the rest is read makes this snapshot old, never wrongly new.
    workspace = Workspace.objects.get(pk=workspace_id)
    now = timezone.now()
    with scoped(workspace_id):
        gate_keys = list(PublicKey.objects.filter(kind=PublicKey.Kind.GATE_KEY))
        numbers = list(PhoneNumber.objects.all())
        return LoadedSnapshot(
            workspace_id,
            workspace.endpoint,
            workspace.snapshot_version,
            _engine(workspace, numbers, gate_keys, now=now),
            tuple(workspaces.webhook_secrets(workspace_id, now)),
            checked_at,
            tokens=_tokens(now),
            captcha_secrets=_captcha_secrets(gate_keys),
            captcha_site_keys={key.pk: key.captcha_site_key for key in gate_keys if key.captcha_site_key},
            answering={number.e164: answering for number in numbers if (answering := _answering(number)) != _PLAIN},
        )


def _engine(workspace: Workspace, numbers: list[PhoneNumber], gate_keys: list[PublicKey], *, now: datetime) -> Snapshot:
    policies = CountryPolicy.objects.select_related("current_revision").exclude(current_revision=None)
    listed = held.lists_in_force(now)
    prices = workspace.carrier_prices if isinstance(workspace.carrier_prices, dict) else {}
    return Snapshot(
        workspace_id=workspace.pk,
        version=workspace.snapshot_version,
        home_country=str(workspace.home_country),
        numbers={number.e164: _number(number) for number in numbers},
        policies={policy.pk: _policy(policy) for policy in policies},
        holds=Holds.of(held.as_snapshot(hold) for hold in held.in_force(now)),
        opens=Holds.of(held.opens_in_force(now)),
        trusted=Holds.of(listed.trusted),
        blocked=Holds.of(listed.blocked),
        keys={key.key: _key(key) for key in gate_keys},
        subjects=_approvals(now),
        limits=_limits(workspace.limits),
        agent_minute_price=workspace.agent_minute_price,
        carrier_prices={code: Decimal(str(price)) for code, price in prices.items()},
    )


def _number(row: PhoneNumber) -> NumberSnapshot:
    return NumberSnapshot(
        id=row.pk,
        e164=row.e164,
        policy_id=row.policy_id,
        guarded_agent=row.guarded_agent or None,
        observing=row.mode == PhoneNumber.Mode.OBSERVING,
    )


def _policy(row: CountryPolicy) -> PolicySnapshot:
    revision = row.current_revision
    return PolicySnapshot.from_dict(
        {"id": row.pk, "revision": revision.number, "inbound": revision.inbound, "outbound": revision.outbound}
    )


def _key(row: PublicKey) -> KeySnapshot:
    return KeySnapshot(
        id=row.pk,
        key=row.key,
        active=row.status == PublicKey.Status.ACTIVE,
        domains=frozenset(row.domains),
        channels=frozenset(row.channels),
        retires_at_ms=_milliseconds(row.retires_at),
        phone_number=row.phone_number,
        agent=row.agent,
        agent_version=row.agent_version,
        allowed_fields=frozenset(row.allowed_fields),
        fraud_protection=row.fraud_protection,
        captcha=row.captcha,
        captcha_threshold=row.captcha_threshold,
        kyc_level=row.kyc_level,
        kyc_rules=_kyc_rules(row.kyc_rules),
        limits=_limits(row.limits),
        observing=row.mode == PublicKey.Mode.OBSERVING,
    )


def _approvals(now: datetime) -> dict[str, tuple[Approval, ...]]:
    """By the subject's reference. Ended ones too: who was approved once is no stranger afterwards.

    One whose renewal was approved counts no more, whatever became of the renewal: what was declared last holds.
    """
    state = KycRecord.State
    once = Exists(KycTransition.objects.filter(record=OuterRef("pk"), to_state=state.APPROVED))
    lost = ~Q(state__in=(state.APPROVED, state.EXPIRED, state.DRAFT, state.ERASED)) & Q(once)
    rows = KycRecord.objects.filter(Q(state__in=(state.APPROVED, state.EXPIRED)) | lost).order_by("pk")
    replaced = KycRecord.objects.filter(renews=OuterRef("pk"), state__in=review.WAS_APPROVED)
    found: dict[str, tuple[Approval, ...]] = {}
    for row in rows.exclude(Exists(replaced)).values(*_OF_AN_APPROVAL).iterator(chunk_size=1000):
        found[row["subject__reference"]] = (*found.get(row["subject__reference"], ()), _approval(row, now))
    return found


_NOT_SUSPENDED: Final = (KycRecord.State.APPROVED, KycRecord.State.EXPIRED, KycRecord.State.WITHDRAWN)
"""Of a record that was approved once; any other state means that it is being looked at again."""

_OF_AN_APPROVAL: Final = (
    "subject__reference",
    "level",
    "state",
    "expires_at",
    "decided_at",
    "declared_countries",
    "declared_channels",
    "declared_calls_per_day",
    "renews__state",
    "renews__declared_calls_per_day",
)


def _approval(row: Mapping[str, Any], now: datetime) -> Approval:
    ends = row["expires_at"]
    if row["state"] != KycRecord.State.APPROVED:
        ends = min(ends or now, now)
    calls, established = row["declared_calls_per_day"], None
    if row["renews__state"] in (KycRecord.State.APPROVED, KycRecord.State.EXPIRED):
        established = row["renews__declared_calls_per_day"] or calls
    return Approval(
        level=row["level"],
        expires_at_ms=_milliseconds(ends),
        approved_at_ms=_milliseconds(row["decided_at"]),
        countries=_countries(row["declared_countries"]),
        channels=frozenset(row["declared_channels"]),
        calls_per_day=calls,
        established_calls=established,
        suspended=row["state"] not in _NOT_SUSPENDED,
    )


@lru_cache(maxsize=4096)
def _countries(codes: str) -> frozenset[str]:
    """As they are stored. Many subjects declare the same."""
    return frozenset(filter(None, codes.split(",")))


def _tokens(now: datetime) -> dict[str, TokenSnapshot]:
    rows = ApiToken.objects.filter(revoked_at=None)
    return {
        row.prefix: TokenSnapshot(row.pk, row.secret_sha256, row.expires_at)
        for row in rows
        if tokens.grants(row, GATE_SCOPE) and row.is_valid(now)
    }


_PLAIN: Final = Answering()


def _answering(row: PhoneNumber) -> Answering:
    # After a closed number was opened again they are kept, and named, until UponAI shows them bound.
    return Answering(row.chained_webhook_url, row.chained_sms_webhook_url, tuple(row.answering_agents))


def _captcha_secrets(gate_keys: list[PublicKey]) -> dict[int, str]:
    """One that cannot be read lets no captcha of its key pass, and leaves everything else as it is."""
    found = {}
    for key in gate_keys:
        try:
            if key.captcha_secret:
                found[key.pk] = _opened(key)
        except encryption.CannotOpen as problem:
            logger.error("The captcha secret of key %s cannot be read (%s): its captchas are refused.", key.pk, problem)
    return found


def _opened(row: PublicKey) -> str:
    return encryption.unseal(
        workspace_id=row.workspace_id, model="publickey", row=row.pk, field="captcha_secret", sealed=row.captcha_secret
    )


def _limits(stored: Any) -> Limits:
    """What is stored was checked when it was written; what cannot be read leaves the factory's limits in force."""
    try:
        return read_limits(stored or {})
    except MalformedRules as problem:
        logger.error("Stored limits cannot be read (%s); the factory's hold instead.", problem)
        return {}


def _kyc_rules(stored: Any) -> KycRules:
    """As with limits; here the safe reading is to ask everybody for the highest level."""
    try:
        return KycRules.from_dict(stored or {})
    except MalformedRules as problem:
        logger.error("Stored KYC rules cannot be read (%s); the highest level is asked for instead.", problem)
        return KycRules({channel.value: KycRecord.Level.ENHANCED.value for channel in Channel})


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
