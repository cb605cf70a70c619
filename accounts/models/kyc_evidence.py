"""What a decision about a subject rests on: documents, providers' results, and what tells two subjects are one."""

import uuid

from django.db import models
from django.utils import timezone
from django_countries.fields import CountryField

from accounts.models.kyc import ACTOR_LENGTH, KycRecord, Subject
from accounts.scoping import WorkspaceModel


class KycDocument(WorkspaceModel):
    """A file somebody handed in. The original is sealed; people look at the clean rendition."""

    class Kind(models.TextChoices):
        PASSPORT = "passport", "Passport"
        IDENTITY_CARD = "identity_card", "Identity card"
        DRIVING_LICENCE = "driving_licence", "Driving licence"
        RESIDENCE_PERMIT = "residence_permit", "Residence permit"
        PROOF_OF_ADDRESS = "proof_of_address", "Proof of address"
        SELFIE = "selfie", "Photo of the person"
        COMPANY_PAPER = "company_paper", "Company's paper"
        OTHER = "other", "Something else"

    class State(models.TextChoices):
        QUARANTINED = "quarantined", "Being checked"
        CLEAN = "clean", "Clean"
        REFUSED = "refused", "Refused"
        REMOVED = "removed", "Removed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    record = models.ForeignKey(KycRecord, on_delete=models.CASCADE, related_name="documents")
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.OTHER)
    side = models.CharField(max_length=10, blank=True, help_text="front or back, where that matters.")
    state = models.CharField(max_length=12, choices=State.choices, default=State.QUARANTINED, editable=False)
    refused_because = models.CharField(max_length=200, blank=True, editable=False)
    name = models.CharField(max_length=120, blank=True, help_text="What the file was called, made harmless.")
    content_type = models.CharField(max_length=40, blank=True, editable=False)
    size_bytes = models.PositiveIntegerField(default=0, editable=False)
    pages = models.PositiveSmallIntegerField(default=1, editable=False)
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    sha256 = models.CharField(max_length=64, blank=True, db_index=True, editable=False, help_text="Of the original.")
    clean_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    likeness = models.CharField(max_length=32, blank=True, editable=False, help_text="Close for what looks alike.")
    sealed_file = models.CharField(max_length=200, blank=True, editable=False, help_text="Where the original lies.")
    clean_file = models.CharField(max_length=200, blank=True, editable=False)
    file_key = models.TextField(blank=True, editable=False, help_text="Sealed.")
    issuing_country = CountryField(blank=True)
    expires_on = models.DateField(null=True, blank=True)
    number_sealed = models.TextField(blank=True, editable=False)
    number_last_four = models.CharField(max_length=4, blank=True, editable=False)
    reading = models.JSONField(
        default=dict, blank=True, editable=False, help_text="What the machine-readable lines say, and whether they fit."
    )
    uploaded_by = models.CharField(max_length=ACTOR_LENGTH, blank=True, editable=False)
    uploaded_at = models.DateTimeField(default=timezone.now, editable=False)
    removed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "KYC document"

    def __str__(self) -> str:
        return self.get_kind_display()


class UploadLink(WorkspaceModel):
    """Lets the subject hand in a record without an account. Only its token's hash is kept."""

    record = models.ForeignKey(KycRecord, on_delete=models.CASCADE, related_name="upload_links")
    token_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    text_for_subject = models.TextField(blank=True)
    uploads = models.PositiveIntegerField(default=0, editable=False)
    created_by = models.CharField(max_length=ACTOR_LENGTH, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True, editable=False)
    used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"upload link of {self.record}"


class ProviderResult(WorkspaceModel):
    """What an identity or screening provider found out, kept as evidence; it decides nothing by itself."""

    class Kind(models.TextChoices):
        IDENTITY = "identity", "Identity check"
        NAME_SCREENING = "name_screening", "Screening of the name"

    class Outcome(models.TextChoices):
        PASSED = "passed", "Passed"
        FAILED = "failed", "Failed"
        UNCLEAR = "unclear", "Unclear"

    record = models.ForeignKey(KycRecord, on_delete=models.CASCADE, related_name="provider_results")
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.IDENTITY)
    provider = models.CharField(max_length=40)
    external_id = models.CharField(max_length=120)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    list_version = models.CharField(max_length=80, blank=True, help_text="Of the lists a name was screened against.")
    detail = models.JSONField(default=dict)
    sha256 = models.CharField(max_length=64, editable=False)
    received_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "provider", "external_id", "sha256"], name="provider_result_once"
            ),
            models.CheckConstraint(
                condition=~models.Q(kind="name_screening") | ~models.Q(list_version=""),
                name="provider_result_screening_names_its_list",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.outcome}"


class SubjectTrait(WorkspaceModel):
    """Something by which two subjects may be found to be one, as a keyed digest of its normal form."""

    class Kind(models.TextChoices):
        DOCUMENT_NUMBER = "document_number", "Document's number"
        DOCUMENT_FILE = "document_file", "Document's file"
        PHONE = "phone", "Phone"
        EMAIL = "email", "E-mail"
        NAME_AND_BIRTH = "name_and_birth", "Name and date of birth"
        DEVICE = "device", "Device"

    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="traits")
    document = models.ForeignKey(KycDocument, null=True, on_delete=models.CASCADE, related_name="traits")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    digest = models.CharField(max_length=64)
    is_close = models.BooleanField(default=False, help_text="Of a near miss, such as one character left out.")

    class Meta:
        indexes = [models.Index(fields=["workspace", "kind", "digest"], name="subject_trait_found")]

    def __str__(self) -> str:
        return self.get_kind_display()


class Erasure(WorkspaceModel):
    """That a subject was erased. Outlives the subject, so that a restored backup is erased again."""

    subject_id = models.BigIntegerField()
    reference_digest = models.CharField(max_length=64)
    reference_sealed = models.TextField(
        blank=True, help_text="What the subject was called, until attempts do not name it any more."
    )
    erased_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "subject_id"], name="erasure_once")]

    def __str__(self) -> str:
        return f"erasure of subject {self.subject_id}"
