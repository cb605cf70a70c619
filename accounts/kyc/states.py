"""The states of a KYC record, the closed table of which may follow which, and the reasons a reviewer gives. Data only.

The database checks the same table: see the constraints of KycRecord and KycTransition, and guards.py.
"""

from types import MappingProxyType
from typing import Final

from django.db import models


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


_S = State
_PROPOSED: Final = (_S.PROPOSED_APPROVE, _S.PROPOSED_REJECT)

# In review may follow itself: the case went into another's hands.
LEGAL: Final = MappingProxyType(
    {
        _S.DRAFT: (_S.SUBMITTED, _S.WITHDRAWN, _S.ERASED),
        _S.SUBMITTED: (_S.IN_REVIEW, _S.WITHDRAWN, _S.ERASED),
        _S.IN_REVIEW: (
            _S.IN_REVIEW,
            _S.SUBMITTED,
            _S.NEEDS_INFORMATION,
            *_PROPOSED,
            _S.APPROVED,
            _S.REJECTED,
            _S.WITHDRAWN,
            _S.ERASED,
        ),
        _S.NEEDS_INFORMATION: (_S.IN_REVIEW, _S.SUBMITTED, _S.WITHDRAWN, _S.ERASED),
        _S.PROPOSED_APPROVE: (_S.APPROVED, _S.IN_REVIEW, _S.WITHDRAWN, _S.ERASED),
        _S.PROPOSED_REJECT: (_S.REJECTED, _S.IN_REVIEW, _S.WITHDRAWN, _S.ERASED),
        _S.APPROVED: (_S.SUSPENDED, _S.EXPIRED, _S.WITHDRAWN, _S.ERASED),
        _S.REJECTED: (_S.SUBMITTED, _S.ERASED),
        _S.SUSPENDED: (_S.IN_REVIEW, _S.WITHDRAWN, _S.ERASED),
        _S.EXPIRED: (_S.SUBMITTED, _S.WITHDRAWN, _S.ERASED),
        _S.WITHDRAWN: (_S.ERASED,),
        _S.ERASED: (),
    }
)

WAITING: Final = (_S.SUBMITTED, _S.SUSPENDED)
"""In the queue: anybody who reviews may claim them."""
WITH_US: Final = (_S.SUBMITTED, _S.SUSPENDED, _S.IN_REVIEW, *_PROPOSED)
"""The clock of the review runs."""
UNDECIDED: Final = (_S.DRAFT, _S.SUBMITTED, _S.IN_REVIEW, _S.NEEDS_INFORMATION, *_PROPOSED)
PROPOSED: Final = _PROPOSED


def legal_pairs(before: str = "from_state", after: str = "to_state", *, or_new: bool = False) -> models.Q:
    """The table as a condition over two columns. `or_new`: a record that nothing moved yet is a draft."""
    allowed = models.Q(**{before: "", after: _S.DRAFT.value}) if or_new else models.Q()
    for earlier, later in LEGAL.items():
        if later:
            allowed |= models.Q(**{before: earlier.value, f"{after}__in": [state.value for state in later]})
    return allowed


class RejectReason(models.TextChoices):
    DOCUMENT_UNREADABLE = "document_unreadable", "Document cannot be read"
    DOCUMENT_EXPIRED = "document_expired", "Document has expired"
    DOCUMENT_FORGED = "document_forged", "Document is forged or altered"
    DATA_MISMATCH = "data_mismatch", "Data and documents differ"
    DUPLICATE_IDENTITY = "duplicate_identity", "Identity is used by another subject"
    USE_NOT_PLAUSIBLE = "use_not_plausible", "Declared use is not plausible"
    USE_NOT_ALLOWED = "use_not_allowed", "Declared use is not allowed"
    NAME_ON_A_LIST = "name_on_a_list", "Name is on a list"
    NO_ANSWER = "no_answer", "Questions were not answered"
    FRAUD = "fraud", "Fraud"


class InformationReason(models.TextChoices):
    DOCUMENT_MISSING = "document_missing", "Document is missing"
    DOCUMENT_UNREADABLE = "document_unreadable", "Document cannot be read"
    DOCUMENT_EXPIRED = "document_expired", "Document has expired"
    DATA_MISSING = "data_missing", "Data is missing"
    DATA_MISMATCH = "data_mismatch", "Data and documents differ"
    USE_UNCLEAR = "use_unclear", "Declared use is unclear"
    PROOF_OF_ADDRESS = "proof_of_address", "Proof of address is needed"


class SuspendReason(models.TextChoices):
    FRAUD_INCIDENT = "fraud_incident", "Fraud incident"
    LEFT_DECLARED_USE = "left_declared_use", "Left the declared use"
    EVIDENCE_CHANGED = "evidence_changed", "What was approved has changed"
    DOCUMENT_EXPIRED = "document_expired", "Document has expired"
    COMPLAINT = "complaint", "Complaints"
    POLICY_CHANGED = "policy_changed", "Rules have changed"
    REVOKED = "revoked", "Approval is taken back"


class Rejection(models.TextChoices):
    RETRY = "retry", "May be submitted again"
    FINAL = "final", "Final"


class Fallback(models.TextChoices):
    """Who stands in for the second reviewer of a workspace that has none."""

    NONE = "", "Nobody"
    OWNER = "owner", "The owner"
    ONE_PERSON = "one_person", "One person decides, recorded as such"
