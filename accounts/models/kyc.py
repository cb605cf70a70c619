"""Subjects and the KYC records about them."""

from django.db import models
from django.utils import timezone
from django_countries.fields import CountryField

from accounts.scoping import WorkspaceModel


class Subject(WorkspaceModel):
    """The end user a KYC record is about, as the customer's own systems call them (`reference`)."""

    reference = models.CharField(max_length=120, help_text="What your systems call this person.")
    name = models.CharField(max_length=160)
    phone = models.CharField(max_length=20, blank=True)
    email = models.EmailField("e-mail", blank=True)
    nationalities = CountryField(multiple=True, blank=True)
    country_of_residence = CountryField(blank=True)
    date_of_birth = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "reference"], name="subject_reference_once")]

    def __str__(self) -> str:
        return self.name


class KycRecord(WorkspaceModel):
    """One identity check of a subject at one level, with the use that was declared for it."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        SUBMITTED = "submitted", "Submitted"
        IN_REVIEW = "in_review", "In review"
        NEEDS_INFORMATION = "needs_information", "Needs information"
        PROPOSED_APPROVE = "proposed_approve", "Approval proposed"
        PROPOSED_REJECT = "proposed_reject", "Rejection proposed"
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"
        SUSPENDED = "suspended", "Suspended"
        EXPIRED = "expired", "Expired"
        WITHDRAWN = "withdrawn", "Withdrawn"
        ERASED = "erased", "Erased"

    class Level(models.IntegerChoices):
        BASIC = 1, "1 · basic"
        VERIFIED = 2, "2 · verified identity"
        ENHANCED = 3, "3 · enhanced"

    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="kyc_records")
    level = models.PositiveSmallIntegerField(choices=Level.choices)
    state = models.CharField(max_length=20, choices=State.choices, default=State.DRAFT, editable=False)
    declared_countries = CountryField(multiple=True, blank=True)
    declared_purpose = models.CharField(max_length=200, blank=True)
    note_for_colleagues = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    submitted_at = models.DateTimeField(null=True, blank=True, editable=False)
    decided_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "KYC record"
        constraints = [
            models.CheckConstraint(condition=models.Q(level__range=(1, 3)), name="kyc_record_level_known"),
            models.CheckConstraint(
                condition=~models.Q(state="approved") | models.Q(decided_at__isnull=False),
                name="kyc_record_approved_has_a_decision_time",
            ),
        ]
        indexes = [models.Index(fields=["workspace", "state", "submitted_at"], name="kyc_record_queue")]

    def __str__(self) -> str:
        return f"{self.subject}, level {self.level}"
