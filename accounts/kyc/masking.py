"""What the audit log shows of entries about KYC to who may not see subjects: that something was done, not to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps

from accounts.audit import ERASED, SYSTEM
from accounts.kyc.privacy import DOTS
from accounts.models import (
    ApiToken,
    AuditEntry,
    KycDelivery,
    KycDocument,
    KycRecord,
    ProviderResult,
    Subject,
    UploadLink,
    User,
)
from accounts.tokens import grants

ABOUT_PEOPLE: Final = tuple(
    model._meta.label_lower for model in (Subject, KycRecord, KycDocument, UploadLink, ProviderResult, KycDelivery)
)
MAY_SEE_SUBJECTS: Final = "accounts.view_subject"
SCOPE: Final = "subjects:read"
# Of before and after. Whatever else an entry comes to hold is masked, until somebody says here that it is of nobody.
SHOWN: Final = frozenset(
    {"state", "actor", "level", "record", "renews", "because", "kind", "side", "page", "pages", "bytes", "fallback"}
    | {"evidence", "expires_at", "assigned_to", "escalation"}
)


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry as somebody sees it."""

    label: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str
    origin: dict[str, str]
    masked: bool


def may_see_subjects(who: Any) -> bool:
    """A person by their role, a token by its scopes."""
    if isinstance(who, ApiToken):
        return grants(who, SCOPE)
    return isinstance(who, User) and who.has_perm(MAY_SEE_SUBJECTS)


def is_about_people(entry: AuditEntry) -> bool:
    return entry.object_type in ABOUT_PEOPLE


def shown(entry: AuditEntry, who: Any) -> Shown:
    """The entry as `who` sees it. The row, and what proves it, stay as they are."""
    detail = entry.detail or {}  # None once a person's details were erased
    before, after = detail.get("before"), detail.get("after")
    reason, origin = detail.get("reason") or "", detail.get("origin") or {}
    if not is_about_people(entry) or may_see_subjects(who):
        return Shown(entry.object_label, before, after, reason, origin, masked=False)
    if entry.actor_label == SYSTEM and "ip" in origin:  # the subject's own, who acted by a link
        origin = origin | {"ip": DOTS}
    return Shown(masked_label(entry), _masked(before), _masked(after), masked_value(reason), origin, masked=True)


def masked_label(entry: AuditEntry) -> str:
    """What it is about, by its number: KYC record 12."""
    if entry.object_label == ERASED:
        return ERASED
    name = str(apps.get_model(entry.object_type)._meta.verbose_name)
    return f"{name[:1].upper()}{name[1:]} {entry.object_id}"


def masked_value(value: Any) -> Any:
    """Whether there was something stays to be seen."""
    return DOTS if value or value in (0, False) else value


def _masked(facts: dict[str, Any] | None) -> dict[str, Any] | None:
    if facts is None:
        return None
    return {name: value if name in SHOWN else masked_value(value) for name, value in facts.items()}
