"""Keys and tokens: what opens something, and how each is kept."""

import uuid
from datetime import datetime

from django.db import models
from django.utils import timezone

from accounts.scoping import WorkspaceModel


class DataKey(WorkspaceModel):
    """A workspace's own encryption key, wrapped. Written by `encryption` alone."""

    class Purpose(models.TextChoices):
        SECRETS = "secrets", "Secrets"
        AUDIT = "audit", "Audit chain"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    purpose = models.CharField(max_length=10, choices=Purpose.choices)
    generation = models.PositiveIntegerField(default=1)
    wrapped = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "purpose", "generation"], name="data_key_generation_once")
        ]


class UponaiKey(WorkspaceModel):
    """A private key of the workspace's UponAI account, sealed.

    The newest is used; older ones verify webhooks until they end.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sealed = models.TextField(editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    fingerprint = models.CharField(
        max_length=64,
        blank=True,
        db_index=True,
        editable=False,
        help_text="Tells this key from others without opening it, should somebody show it where it does not belong.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    verifies_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Until when webhooks signed with this key are believed; empty for the key in use.",
    )

    class Meta:
        verbose_name = "UponAI key"

    def __str__(self) -> str:
        return f"key ending in {self.last_four}"


class ApiToken(WorkspaceModel):
    """What a REST client shows. Only its hash is kept."""

    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=20, unique=True, editable=False)
    secret_sha256 = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list, help_text='Such as ["phone-numbers:read"], or ["*"] for everything.')
    created_by = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class PublicKey(WorkspaceModel):
    """A key that web pages show. Minted by the console, or a note of one that exists in UponAI's dashboard."""

    class Kind(models.TextChoices):
        GATE_KEY = "gate_key", "Gate key, minted here"
        UPONAI = "uponai", "UponAI's own, kept as a register"

    class Mode(models.TextChoices):
        ENFORCING = "enforcing", "Enforcing"
        OBSERVING = "observing", "Observing: judged and counted, not enforced"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        REVOKED = "revoked", "Revoked"

    class Captcha(models.TextChoices):
        NONE = "none", "None"
        RECAPTCHA_V3 = "recaptcha_v3", "reCAPTCHA v3"
        RECAPTCHA_V2 = "recaptcha_v2", "reCAPTCHA v2"
        HCAPTCHA = "hcaptcha", "hCaptcha"
        TURNSTILE = "turnstile", "Turnstile"

    name = models.CharField(max_length=80)
    key = models.CharField(max_length=120, help_text="Public: it is shown in full.")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.GATE_KEY)
    domains = models.JSONField(default=list, blank=True, help_text="Web sites that may use the key.")
    channels = models.JSONField(default=list, blank=True, help_text="What may be started with the key.")
    phone_number = models.CharField(max_length=20, blank=True, help_text="The number it calls from.")
    agent = models.CharField(max_length=80, blank=True, help_text="The agent it starts.")
    agent_version = models.CharField(
        max_length=40, blank=True, help_text="A number or a tag; empty for what UponAI takes by itself."
    )
    allowed_fields = models.JSONField(default=list, blank=True, help_text="What else the page may choose.")
    fraud_protection = models.BooleanField(
        default=True, help_text="Limits calls and SMS by the pair of IP address and destination."
    )
    limits = models.JSONField(
        default=dict,
        blank=True,
        help_text='Where they differ from the factory\'s: {"ip": {"limit": 60, "window": 600}}.',
    )
    captcha = models.CharField(max_length=20, choices=Captcha.choices, default=Captcha.NONE)
    captcha_site_key = models.CharField(max_length=120, blank=True, help_text="Public: the web page shows it.")
    captcha_secret = models.TextField(blank=True, editable=False, help_text="Sealed.")
    captcha_threshold = models.FloatField(
        default=0.5, help_text="The lowest score that is accepted, where the captcha gives one: 0 to 1."
    )
    kyc_level = models.PositiveSmallIntegerField(
        "KYC level", default=0, help_text="The level the end user must have reached; 0 for none."
    )
    kyc_rules = models.JSONField(
        "KYC rules",
        default=dict,
        blank=True,
        help_text='Levels for single channels or tiers: {"channels": {"sms": 1}, "exposure_tiers": {"T2": 2}}.',
    )
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.ENFORCING)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    retires_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When a rotated key stops working by itself."
    )
    successor = models.ForeignKey(
        "self", null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="predecessors"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "key"], name="public_key_once"),
            models.UniqueConstraint(fields=["workspace", "name"], name="public_key_name_once"),
            models.CheckConstraint(condition=models.Q(kyc_level__lte=3), name="public_key_kyc_level_known"),
            models.CheckConstraint(
                condition=models.Q(captcha_threshold__gte=0, captcha_threshold__lte=1),
                name="public_key_captcha_threshold_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class KeyLeak(WorkspaceModel):
    """The workspace's private UponAI key was shown at the gate, where only a web page or a mistake can have put it.

    One row for each key and origin; it stays open until the key is replaced.
    """

    last_four = models.CharField(max_length=4)
    fingerprint = models.CharField(max_length=64)
    origin = models.CharField(max_length=255, blank=True, help_text="The web page's, as its browser told.")
    ip = models.GenericIPAddressField(null=True)
    path = models.CharField(max_length=120, blank=True)
    times = models.PositiveIntegerField(default=1)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "fingerprint", "origin"], name="key_leak_once_per_origin")
        ]

    def __str__(self) -> str:
        return f"key ending in {self.last_four} at {self.origin or 'an unnamed place'}"
