"""Who: people, workspaces, keys, subjects, and the audit trail of what they did."""

from accounts.models.audit import AuditEntry, AuditHead
from accounts.models.keys import ApiToken, DataKey, KeyLeak, PublicKey, UponaiKey
from accounts.models.kyc import KycRecord, Subject
from accounts.models.people import Membership, User, Workspace

__all__ = [
    "ApiToken",
    "AuditEntry",
    "AuditHead",
    "DataKey",
    "KeyLeak",
    "KycRecord",
    "Membership",
    "PublicKey",
    "Subject",
    "UponaiKey",
    "User",
    "Workspace",
]
