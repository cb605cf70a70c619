"""Subjects, their KYC records, and every move a record made. Moved by `accounts.kyc` alone."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django_countries import Countries
from django_countries.fields import CountryField

from accounts.countries import STATELESS
from accounts.kyc import states
from accounts.scoping import WorkspaceModel

ACTOR_LENGTH = 40
"""Who acted, as `accounts.kyc.people` writes it: user:4, token:7, subject:9, console."""


class Nationalities(Countries):
    """Those of ISO, and that somebody has none."""

    override = {STATELESS: "Stateless"}


class Subject(WorkspaceModel):
    """The end user a KYC record is about, as the customer's own systems call them (`reference`)."""

    reference = models.CharField(max_length=120, help_text="What your systems call this person.")
    name = models.CharField(max_length=160)
    phone = models.CharField(max_length=20, blank=True)
    email = models.EmailField("e-mail", blank=True)
    nationalities = CountryField(countries=Nationalities, multiple=True, blank=True)
    country_of_residence = CountryField(blank=True)
    date_of_birth = models.DateField(null=True, blank=True)
    devices = models.JSONField(default=list, blank=True, help_text="What your systems call this person's devices.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "reference"], name="subject_reference_once")]

    def __str__(self) -> str:
        return self.name


class KycRecord(WorkspaceModel):
    """One identity check of a subject at one level, with the use that was declared for it.

    `came_from` is the state before `state`: with it the database itself knows whether the last move was legal.
    """

    State = states.State
    Rejection = states.Rejection
    Fallback = states.Fallback

    class Level(models.IntegerChoices):
        BASIC = 1, "1 · basic"
        VERIFIED = 2, "2 · verified identity"
        ENHANCED = 3, "3 · enhanced"

    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="kyc_records")
    level = models.PositiveSmallIntegerField(choices=Level.choices)
    state = models.CharField(max_length=20, choices=states.State.choices, default=states.State.DRAFT, editable=False)
    came_from = models.CharField(max_length=20, blank=True, editable=False)
    moves = models.PositiveIntegerField(default=0, editable=False, help_text="How many transitions there were.")
    renews = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="renewals", editable=False
    )
    opened_because = models.CharField(max_length=40, blank=True, editable=False)

    declared_countries = CountryField(multiple=True, blank=True)
    declared_channels = models.JSONField(default=list, blank=True, help_text="Empty for every channel.")
    declared_calls_per_day = models.PositiveIntegerField(null=True, blank=True)
    declared_purpose = models.CharField(max_length=200, blank=True)
    note_for_colleagues = models.TextField(blank=True)
    checklist = models.JSONField(default=dict, blank=True, editable=False, help_text='Such as {"photo_matches": true}.')
    screening = models.JSONField(default=dict, blank=True, editable=False, help_text="What was screened, against what.")

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    submitted_at = models.DateTimeField(null=True, blank=True, editable=False)
    decided_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    reverification_asked_at = models.DateTimeField(null=True, blank=True, editable=False)

    submitted_by = models.CharField(max_length=ACTOR_LENGTH, blank=True, editable=False)
    decided_by = models.CharField(
        max_length=ACTOR_LENGTH, blank=True, editable=False, help_text="Who proposed, or decided alone."
    )
    confirmed_by = models.CharField(max_length=ACTOR_LENGTH, blank=True, editable=False)
    fallback = models.CharField(max_length=12, blank=True, choices=states.Fallback.choices, editable=False)
    second_needed = models.BooleanField("second reviewer needed", default=False, editable=False)
    second_reasons = models.JSONField(default=list, blank=True, editable=False)
    is_reversal = models.BooleanField(default=False, editable=False)
    rejection = models.CharField(max_length=10, blank=True, choices=states.Rejection.choices, editable=False)
    evidence = models.CharField(
        max_length=64, blank=True, editable=False, help_text="Of what was seen by who proposed or decided."
    )

    claimed_by = models.CharField(max_length=ACTOR_LENGTH, blank=True, editable=False)
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)
    assigned_to = models.CharField(max_length=ACTOR_LENGTH, blank=True, editable=False)

    clock_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when the review's clock runs; empty while it stands."
    )
    clock_seconds = models.PositiveIntegerField(default=0, editable=False, help_text="What it ran before.")
    warn_at = models.DateTimeField(null=True, blank=True, editable=False)
    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    escalation = models.PositiveSmallIntegerField(default=0, editable=False, help_text="1: warned of, 2: overdue.")

    class Meta:
        verbose_name = "KYC record"
        constraints = [
            models.CheckConstraint(condition=Q(level__range=(1, 3)), name="kyc_record_level_known"),
            models.CheckConstraint(
                condition=states.legal_pairs("came_from", "state", or_new=True), name="kyc_record_move_legal"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "rejected"])
                | (Q(decided_at__isnull=False) & ~Q(decided_by="") & ~Q(evidence="")),
                name="kyc_record_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["proposed_approve", "proposed_reject"])
                | (~Q(decided_by="") & ~Q(evidence="") & Q(second_needed=True, confirmed_by="")),
                name="kyc_record_proposed_by_somebody",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "rejected"], second_needed=True)
                | ~Q(confirmed_by="")
                | Q(fallback="one_person"),
                name="kyc_record_four_eyes",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "proposed_approve"], level=3) | Q(second_needed=True),
                name="kyc_record_level_3_four_eyes",
            ),
            models.CheckConstraint(
                condition=Q(decided_by="") | ~Q(decided_by=F("submitted_by")) | Q(fallback="one_person"),
                name="kyc_record_reviewer_is_not_submitter",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_by="")
                | (~Q(confirmed_by=F("decided_by")) & ~Q(confirmed_by=F("submitted_by")) & ~Q(decided_by="")),
                name="kyc_record_second_reviewer_is_another",
            ),
            models.CheckConstraint(
                condition=~Q(state="approved") | Q(expires_at__isnull=False), name="kyc_record_approved_ends"
            ),
            models.CheckConstraint(
                condition=~Q(state="rejected") | ~Q(rejection=""), name="kyc_record_rejection_says_which"
            ),
            models.CheckConstraint(
                condition=Q(claimed_by="", claimed_until=None) | (~Q(claimed_by="") & Q(claimed_until__isnull=False)),
                name="kyc_record_claim_ends",
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "state", "submitted_at"], name="kyc_record_queue"),
            models.Index(fields=["workspace", "state", "due_at"], name="kyc_record_due"),
            models.Index(fields=["state", "expires_at"], name="kyc_record_expiry"),
            models.Index(
                fields=["workspace", "due_at", "id"], condition=Q(due_at__isnull=False), name="kyc_record_most_due"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject}, level {self.level}"


class KycTransition(WorkspaceModel):
    """One move of a record, by whom and why. Written once, by `accounts.kyc.transitions` alone."""

    record = models.ForeignKey(KycRecord, on_delete=models.CASCADE, related_name="transitions")
    sequence = models.PositiveIntegerField(help_text="1, 2, 3 … without gaps within a record.")
    at = models.DateTimeField()
    verb = models.CharField(max_length=40)
    from_state = models.CharField(max_length=20, choices=states.State.choices)
    to_state = models.CharField(max_length=20, choices=states.State.choices)
    actor = models.CharField(max_length=ACTOR_LENGTH)
    actor_label = models.CharField(max_length=200)
    reason_codes = models.JSONField(default=list)
    text_for_subject = models.TextField(blank=True)
    text_for_colleagues = models.TextField(blank=True)
    evidence = models.CharField(max_length=64, blank=True, help_text="Of what the actor saw.")
    fallback = models.CharField(max_length=12, blank=True, choices=states.Fallback.choices)

    class Meta:
        verbose_name = "KYC transition"
        constraints = [
            models.UniqueConstraint(fields=["record", "sequence"], name="kyc_transition_sequence_once"),
            models.CheckConstraint(condition=states.legal_pairs(), name="kyc_transition_legal"),
        ]

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}"
