"""Calls, chats and messages at UponAI, and what told of them."""

from __future__ import annotations

from django.db import models

from accounts.scoping import WorkspaceModel


class Call(WorkspaceModel):
    """One call, web call, chat or SMS as UponAI tells of it. Unknown values are kept as they are."""

    class Gating(models.TextChoices):
        GATED = "gated", "Passed the gate"
        UNGATED = "ungated", "Did not pass the gate"
        KNOWN = "known", "By a sender that was declared"

    class WayAround(models.TextChoices):
        PRIVATE_KEY = "private_key", "Started with UponAI's private key"
        BATCH = "batch", "A batch call"
        PUBLIC_KEY = "public_key", "Started with one of UponAI's own public keys"
        REGISTERED = "registered", "A call of one's own SIP trunk"

    class ToldBy(models.TextChoices):
        WEBHOOK = "webhook", "UponAI's webhook"
        LIST = "list", "UponAI's list of calls"

    id = models.BigAutoField(primary_key=True)
    call_reference = models.CharField(max_length=120, help_text="UponAI's id.")
    channel = models.CharField(max_length=10)
    direction = models.CharField(max_length=10)
    phone_number = models.CharField(max_length=64, blank=True, help_text="Our side.")
    peer = models.CharField(max_length=64, blank=True, help_text="The other side.")
    country = models.CharField(max_length=3, blank=True)
    number_class = models.CharField(max_length=24, blank=True)
    agent = models.CharField(max_length=80, blank=True)
    public_key = models.CharField(max_length=120, blank=True)
    status = models.CharField(max_length=20)
    disconnection_reason = models.CharField(max_length=60, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    duration_ms = models.PositiveIntegerField(default=0)
    cost_cents = models.DecimalField(max_digits=12, decimal_places=4, default=0)
    decision_id = models.UUIDField(null=True)
    changed_at = models.DateTimeField()
    gating = models.CharField(
        max_length=8,
        choices=Gating.choices,
        blank=True,
        help_text="Whether an outbound call or a chat passed this console's gate; see `ingest.gating`.",
    )
    way_around = models.CharField(
        max_length=12, choices=WayAround.choices, blank=True, help_text="What an ungated one probably was."
    )
    batch_reference = models.CharField(max_length=120, blank=True, help_text="UponAI's id of the batch it belongs to.")
    told_by = models.CharField(
        max_length=8, choices=ToldBy.choices, default=ToldBy.WEBHOOK, help_text="Who told of it first."
    )
    undecided = models.BooleanField(
        default=False, help_text="It came in while this console was not asked, or did not answer."
    )
    rank = models.PositiveSmallIntegerField(default=0, help_text="That of the latest event told of, see `ingest.fold`.")
    older_facts = models.JSONField(default=dict, help_text="{column: rank} of what an earlier event told, or none.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "call_reference"], name="call_reference_once")]
        indexes = [
            models.Index(fields=["workspace", "-started_at", "-id"], name="call_newest"),
            models.Index(fields=["workspace", "phone_number", "-started_at"], name="call_of_phone_number"),
            models.Index(fields=["workspace", "changed_at"], name="call_changed"),
            models.Index(
                fields=["workspace", "-started_at"], condition=models.Q(gating="ungated"), name="call_newest_ungated"
            ),
            models.Index(
                fields=["workspace", "-started_at"], condition=models.Q(gating="known"), name="call_newest_known"
            ),
            # What nobody could say yet, and what only UponAI's list told of, is looked for every few seconds.
            models.Index(
                fields=["workspace", "-started_at"],
                condition=models.Q(gating="")
                & (models.Q(channel__in=("web_call", "chat")) | models.Q(direction="outbound")),
                name="call_newest_unmarked",
            ),
            models.Index(
                fields=["workspace", "-started_at"],
                condition=models.Q(direction="inbound", decision_id__isnull=True, undecided=False),
                name="call_newest_undecided",
            ),
            models.Index(
                fields=["workspace", "-started_at"], condition=models.Q(told_by="list"), name="call_newest_listed"
            ),
            models.Index(fields=["workspace", "agent", "-started_at"], name="call_of_agent"),
            models.Index(fields=["workspace", "country", "-started_at"], name="call_of_country"),
            models.Index(
                fields=["workspace", "public_key", "-started_at"],
                condition=~models.Q(public_key=""),
                name="call_of_public_key",
            ),
            models.Index(
                fields=["workspace", "decision_id"],
                condition=models.Q(decision_id__isnull=False),
                name="call_of_decision",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.direction} {self.channel} {self.peer}"


class WebhookEvent(WorkspaceModel):
    """An event as UponAI sent it, and how far its processing is. Written by `ingest` alone.

    The row is the queue: it exists before UponAI is answered, and `due_at` says when somebody may take it. While it
    is processed alone, that is when the lease of `lease_token` ends. None: nothing is to be done.
    """

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        PROCESSING = "processing", "Processing"
        DONE = "done", "Done"
        FAILED = "failed", "Failed, to be tried again"
        DEAD = "dead", "Given up"

    id = models.BigAutoField(primary_key=True)
    event_key = models.CharField(max_length=200, help_text="Equal for all deliveries of one event.")
    event = models.CharField(max_length=40, blank=True)
    call_reference = models.CharField(max_length=120, blank=True, help_text="UponAI's id of the call or chat.")
    sealed_body = models.TextField(help_text="The raw body, which may hold a transcript.")
    received_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    processed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    told = models.TextField(
        null=True,
        help_text="What was read of it when it came, see `ingest.fold`; empty: its body has to be read, or it is done.",
    )

    class Meta:
        verbose_name = "event"
        constraints = [models.UniqueConstraint(fields=["workspace", "event_key"], name="webhook_event_once")]
        indexes = [
            models.Index(
                fields=["due_at", "workspace"], condition=models.Q(due_at__isnull=False), name="webhook_event_due"
            ),
            models.Index(fields=["workspace", "received_at"], name="webhook_event_oldest"),
            models.Index(
                fields=["workspace", "call_reference"],
                condition=~models.Q(call_reference=""),
                name="webhook_event_of_call",
            ),
            models.Index(
                fields=["workspace", "state"],
                condition=models.Q(state__in=["failed", "dead"]),
                name="webhook_event_in_trouble",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.call_reference}: {self.get_state_display()}"


class EventBatch(WorkspaceModel):
    """Events that a worker folds together just now, or died at. Written by `ingest.processing` alone."""

    id = models.BigAutoField(primary_key=True)
    event_ids = models.JSONField()
    began_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{len(self.event_ids)} events"


class AgentSeen(WorkspaceModel):
    """Per agent: when UponAI last told of it by webhook, and what it did not tell. Written by `ingest` alone."""

    agent = models.CharField(max_length=80)
    last_event_at = models.DateTimeField(null=True, help_text="Empty: no event of this agent ever came.")
    last_call_at = models.DateTimeField(null=True)
    missed = models.PositiveIntegerField(default=0, help_text="Calls of the last 24 h that only UponAI's list told of.")
    missed_at = models.DateTimeField(null=True, help_text="When the last of these was found.")

    class Meta:
        verbose_name = "agent"
        constraints = [models.UniqueConstraint(fields=["workspace", "agent"], name="agent_seen_once")]

    def __str__(self) -> str:
        return self.agent


class PullProgress(WorkspaceModel):
    """How far UponAI's lists of calls and chats have been read. The row is the schedule of `ingest.pull`."""

    class Kind(models.TextChoices):
        CALLS = "calls", "Calls"
        CHATS = "chats", "Chats"

    kind = models.CharField(max_length=5, choices=Kind.choices)
    read_until = models.DateTimeField(null=True, help_text="All that began before is known.")
    history_from = models.DateTimeField(null=True, help_text="How far back `import_calls` has read.")
    due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    found = models.PositiveBigIntegerField(default=0, help_text="What webhooks had missed, ever.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "kind"], name="pull_progress_once")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} until {self.read_until}"


class KnownSender(WorkspaceModel):
    """Who may start calls without passing the gate, as a person declared. Written by `monitoring.senders` alone."""

    class Kind(models.TextChoices):
        PHONE_NUMBER = "phone_number", "One of our numbers"
        AGENT = "agent", "An agent"
        BATCH = "batch", "All batch calls"
        REGISTERED = "registered", "All calls of our own SIP trunks"

    kind = models.CharField(max_length=12, choices=Kind.choices)
    value = models.CharField(max_length=120, blank=True, help_text="The number or the agent; empty for all.")
    reason = models.CharField(max_length=300)
    declared_by = models.CharField(max_length=200, editable=False)
    declared_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "kind", "value"],
                condition=models.Q(removed_at=None),
                name="known_sender_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.value}".strip()
