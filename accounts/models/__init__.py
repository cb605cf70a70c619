"""Who: people, workspaces, keys, subjects, and the audit trail of what they did."""

from accounts.models.audit import AuditEntry, AuditHead
from accounts.models.jobs import JobSlot
from accounts.models.kept_answers import KeptAnswer
from accounts.models.keys import ApiToken, DataKey, KeyLeak, PublicKey, UponaiKey
from accounts.models.kyc import KycRecord, KycTransition, Subject
from accounts.models.kyc_evidence import Erasure, KycDocument, ProviderResult, SubjectTrait, UploadLink
from accounts.models.kyc_webhooks import KycDelivery, KycWebhook
from accounts.models.people import Membership, User, Workspace

__all__ = [
    "ApiToken",
    "AuditEntry",
    "AuditHead",
    "DataKey",
    "Erasure",
    "JobSlot",
    "KeptAnswer",
    "KeyLeak",
    "KycDelivery",
    "KycDocument",
    "KycRecord",
    "KycTransition",
    "KycWebhook",
    "Membership",
    "ProviderResult",
    "PublicKey",
    "Subject",
    "SubjectTrait",
    "UploadLink",
    "UponaiKey",
    "User",
    "Workspace",
]
