"""What is allowed: phone numbers, the policies they follow, what UponAI has of it, and what was decided."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.scoping import WorkspaceModel


def every_country() -> dict[str, Any]:
    """Rules that restrict nothing, in the shape of `PolicyRevision.inbound` and `.outbound`."""
    return {"mode": "unrestricted", "countries": [], "class_rules": {}, "prefix_rules": []}


class CountryPolicy(WorkspaceModel):
    """A named set of rules that phone numbers follow. The rules themselves are its current revision."""

    name = models.CharField(max_length=80)
    current_revision = models.ForeignKey(
        "PolicyRevision", null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    is_default = models.BooleanField(
        "default policy",
        default=False,
        help_text="Kept for numbers that appear at UponAI later; an import gives each number a policy of its own.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "country policies"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "name"], name="country_policy_name_once"),
            models.UniqueConstraint(
                fields=["workspace"], condition=models.Q(is_default=True), name="country_policy_one_default"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PolicyRevision(WorkspaceModel):
    """One immutable version of a country policy. Written by `actions` alone.

    `inbound` and `outbound`: {"mode": "list" | "unrestricted", "countries": [ISO alpha-2, sorted],
    "class_rules": {number class: action}, "prefix_rules": [{"prefix": "+4470", "action": "block"}]}.
    """

    policy = models.ForeignKey(CountryPolicy, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField(help_text="1, 2, 3 … within the policy.")
    inbound = models.JSONField(default=every_country)
    outbound = models.JSONField(default=every_country)
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["policy", "number"], name="policy_revision_number_once")]

    def __str__(self) -> str:
        return f"revision {self.number}"


class PhoneNumber(WorkspaceModel):
    """A number the workspace owns at UponAI, and what UponAI last told about it."""

    e164 = models.CharField("number", max_length=20, editable=False)
    nickname = models.CharField(max_length=120, blank=True)
    policy = models.ForeignKey(CountryPolicy, on_delete=models.PROTECT, related_name="phone_numbers")
    number_type = models.CharField(max_length=40, blank=True, editable=False)
    inbound_agents = models.JSONField(default=list, editable=False)
    outbound_agents = models.JSONField(default=list, editable=False)
    inbound_webhook_url = models.CharField(max_length=500, blank=True, editable=False)
    imported_at = models.DateTimeField(default=timezone.now, editable=False)
    missing_since = models.DateTimeField(
        null=True, editable=False, help_text="Since when UponAI no longer lists the number."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "e164"], name="phone_number_once")]

    def __str__(self) -> str:
        return f"{self.e164} {self.nickname}".strip()

    @property
    def inbound_when_console_down(self) -> str:
        """UponAI lets the bound agent answer when our webhook fails; without one the call is dropped."""
        return "answered" if self.inbound_agents else "dropped"


class SyncTarget(WorkspaceModel):
    """How far a phone number's lists are on their way to UponAI. The row is the schedule of `sync.push`.

    Desired: what the number's policy says, counted by `desired_generation`. Applied: what we know we sent.
    Observed: what we read back. `due_at` None: nothing is to be done.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SYNCED = "synced", "Synced"
        FAILED = "failed", "Failed"
        DRIFT = "drift", "Drift"
        UNKNOWN = "unknown", "Unknown"

    phone_number = models.OneToOneField(PhoneNumber, on_delete=models.CASCADE, related_name="sync_target")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    desired_generation = models.PositiveIntegerField(default=1)
    desired_at = models.DateTimeField(default=timezone.now)
    applied_generation = models.PositiveIntegerField(default=0)
    applied_at = models.DateTimeField(null=True)
    applied = models.JSONField(null=True, help_text='{"inbound": [ISO] or null, "outbound": [ISO] or null}')
    observed = models.JSONField(null=True, help_text="The same shape, as UponAI answered.")
    verified_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0, help_text="Failed ones since the last success.")
    due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(applied_generation__lte=models.F("desired_generation")),
                name="sync_target_applied_not_ahead",
            )
        ]
        indexes = [models.Index(fields=["due_at"], name="sync_target_due")]

    def __str__(self) -> str:
        return f"{self.phone_number}: {self.get_state_display()}"


class Hold(WorkspaceModel):
    """A temporary block. Written by `holds` alone, and the schedule of ending running calls.

    It is in force until `expires_at` or until it is lifted, to the second. `settled_at` says when its end was
    carried through: the audit entry written, UponAI's lists made due.
    """

    class Scope(models.TextChoices):
        WORKSPACE = "workspace", "Everything (emergency brake)"
        PHONE_NUMBER = "phone_number", "One of our phone numbers"
        KEY = "key", "One of our public keys"
        PEER = "peer", "A number of the other side"
        PREFIX = "prefix", "Numbers that begin with"
        COUNTRY = "country", "A country"
        IP = "ip", "An IP address or range"
        SUBJECT = "subject", "An end user"

    class Direction(models.TextChoices):
        INBOUND = "inbound", "Inbound"
        OUTBOUND = "outbound", "Outbound"

    class Channel(models.TextChoices):
        PHONE_CALL = "phone_call", "Phone calls"
        SMS = "sms", "SMS"
        WEB_CALL = "web_call", "Web calls"
        CHAT = "chat", "Chats"

    scope = models.CharField(max_length=12, choices=Scope.choices)
    value = models.CharField(max_length=120, blank=True, help_text="Canonical; empty for the workspace.")
    direction = models.CharField(max_length=10, choices=Direction.choices, blank=True, help_text="Empty: both.")
    channel = models.CharField(max_length=10, choices=Channel.choices, blank=True, help_text="Empty: all.")
    reason = models.CharField(max_length=500)
    imposed_by = models.CharField(max_length=200, editable=False)
    imposed_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, editable=False)
    lifted_by = models.CharField(max_length=200, blank=True, editable=False)
    settled_at = models.DateTimeField(null=True, editable=False)
    stop_calls_due_at = models.DateTimeField(null=True, editable=False)
    stop_calls_looks = models.PositiveIntegerField(default=0, editable=False)
    stop_calls_attempts = models.PositiveIntegerField(default=0, editable=False)
    stop_calls_error = models.TextField(blank=True, editable=False)
    calls_ended = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "scope", "value", "direction", "channel"],
                condition=models.Q(settled_at=None),
                name="hold_once_at_a_time",
            ),
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("imposed_at")), name="hold_ends_after_it_began"
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="hold_has_a_reason"),
            models.CheckConstraint(
                condition=models.Q(scope="workspace", value="") | (~models.Q(scope="workspace") & ~models.Q(value="")),
                name="hold_value_fits_scope",
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=models.Q(settled_at=None), name="hold_unsettled"),
            models.Index(
                fields=["stop_calls_due_at"],
                condition=models.Q(stop_calls_due_at__isnull=False),
                name="hold_stop_calls_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_scope_display()} {self.value}".strip()

    def state(self, now: datetime) -> str:
        """in_force, lifted or expired."""
        if self.lifted_at is not None:
            return "lifted"
        return "in_force" if now < self.expires_at else "expired"

    def is_in_force(self, now: datetime) -> bool:
        return self.state(now) == "in_force"


class Decision(WorkspaceModel):
    """A verdict with its attempt and trace. Written by `gate.recorder` in bulk, once per `decision_id`.

    It keeps facts, not references, so that it says the same for ever: the policy and number may change or go.
    """

    id = models.BigAutoField(primary_key=True)
    decision_id = models.UUIDField(unique=True, default=uuid.uuid4)
    at = models.DateTimeField()
    direction = models.CharField(max_length=10)
    channel = models.CharField(max_length=10)
    verdict = models.CharField(max_length=10)
    reason = models.CharField(max_length=40, blank=True)
    reasons = models.JSONField(default=list)
    phone_number = models.CharField(max_length=64, help_text="Our side.")
    peer = models.CharField(max_length=64, blank=True, help_text="The other side in E.164, or empty.")
    peer_text = models.CharField(max_length=64, blank=True, help_text="The other side as it was given.")
    country = models.CharField(max_length=3, blank=True)
    number_class = models.CharField(max_length=24, blank=True)
    flags = models.JSONField(default=list)
    ip = models.GenericIPAddressField(null=True)
    public_key = models.CharField(max_length=120, blank=True)
    subject = models.CharField(max_length=120, blank=True)
    call_reference = models.CharField(max_length=120, blank=True, help_text="UponAI's id of the call or chat.")
    policy_id = models.BigIntegerField(null=True)
    policy_revision = models.PositiveIntegerField(null=True)
    hold_id = models.BigIntegerField(null=True, help_text="The hold that it failed for.")
    trace = models.JSONField(default=list)
    counterfactuals = models.JSONField(default=list)
    degraded = models.BooleanField(default=False)
    metadata_version = models.CharField(max_length=20, blank=True)
    latency_us = models.PositiveIntegerField(null=True)
    recorded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "-at", "-id"], name="decision_newest"),
            models.Index(
                fields=["workspace", "-at", "-id"],
                condition=models.Q(verdict="block"),
                name="decision_newest_blocked",
            ),
            models.Index(fields=["workspace", "phone_number", "-at"], name="decision_of_phone_number"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.reason} {self.peer or self.peer_text}".strip()


class RefusedWebhook(WorkspaceModel):
    """How many webhooks were turned away unread in one hour. Written by `gate.recorder` from the live store."""

    hour = models.DateTimeField(help_text="When the hour began.")
    problem = models.CharField(max_length=20)
    requests = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "hour", "problem"], name="refused_webhook_once")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h {self.problem}: {self.requests}"
