"""What holds beside the policies: holds, opens, trusted and blocked callers."""

from __future__ import annotations

from datetime import datetime

from django.db import models

from accounts.scoping import WorkspaceModel


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


class Open(WorkspaceModel):
    """A temporary exception that lets through what a class or country rule would not. Written by `opens` alone."""

    scope = models.CharField(max_length=12, choices=Hold.Scope.choices)
    value = models.CharField(max_length=120, blank=True, help_text="Canonical; empty for the workspace.")
    direction = models.CharField(max_length=10, choices=Hold.Direction.choices, blank=True, help_text="Empty: both.")
    channel = models.CharField(max_length=10, choices=Hold.Channel.choices, blank=True, help_text="Empty: all.")
    reason = models.CharField(max_length=500)
    opened_by = models.CharField(max_length=200, editable=False)
    opened_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, editable=False)
    closed_by = models.CharField(max_length=200, blank=True, editable=False)
    settled_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "scope", "value", "direction", "channel"],
                condition=models.Q(settled_at=None),
                name="open_once_at_a_time",
            ),
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("opened_at")), name="open_ends_after_it_began"
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="open_has_a_reason"),
        ]
        indexes = [models.Index(fields=["expires_at"], condition=models.Q(settled_at=None), name="open_unsettled")]

    def __str__(self) -> str:
        return f"{self.get_scope_display()} {self.value}".strip()

    def state(self, now: datetime) -> str:
        """in_force, closed or expired."""
        if self.closed_at is not None:
            return "closed"
        return "in_force" if now < self.expires_at else "expired"

    def is_in_force(self, now: datetime) -> bool:
        return self.state(now) == "in_force"


class ListEntry(WorkspaceModel):
    """Somebody who is trusted, or a caller who is blocked, for good or until a day. Written by `lists` alone."""

    class List(models.TextChoices):
        TRUSTED = "trusted", "Trusted"
        BLOCKED = "blocked", "Blocked callers"

    class Scope(models.TextChoices):
        PEER = "peer", "A number of the other side"
        PREFIX = "prefix", "Numbers that begin with"
        IP = "ip", "An IP address or range"
        SUBJECT = "subject", "An end user"

    list = models.CharField(max_length=10, choices=List.choices)
    scope = models.CharField(max_length=12, choices=Scope.choices)
    value = models.CharField(max_length=120, help_text="Canonical.")
    direction = models.CharField(max_length=10, choices=Hold.Direction.choices, blank=True, help_text="Empty: both.")
    channel = models.CharField(max_length=10, choices=Hold.Channel.choices, blank=True, help_text="Empty: all.")
    reason = models.CharField(max_length=500)
    added_by = models.CharField(max_length=200, editable=False)
    added_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "list entries"
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "list", "scope", "value", "direction", "channel"], name="list_entry_once"
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="list_entry_has_a_reason"),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"], condition=models.Q(expires_at__isnull=False), name="list_entry_that_ends"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_list_display()}: {self.value}"

    def is_in_force(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


class Trusted(ListEntry):
    """The entries of one list, which have a page of their own."""

    class Meta:
        proxy = True
        verbose_name = "trusted entry"
        verbose_name_plural = "trusted"


class BlockedCaller(ListEntry):
    """The entries of the other list."""

    class Meta:
        proxy = True
