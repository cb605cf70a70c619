"""Links with which a subject hands documents in without an account: for one record, for some days, until it is done.

A link that ended, was taken back, or never was is answered alike.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db.models import F

from accounts import audit
from accounts.audit import Acting
from accounts.kyc import documents, people, review
from accounts.kyc.documents import OPEN_TO_SUBJECT, Asked
from accounts.kyc.states import State
from accounts.kyc.transitions import WrongState, locked
from accounts.models import KycDocument, KycRecord, UploadLink
from accounts.scoping import scoped, unscoped
from accounts.workspaces import taking_turns

TOKEN_BYTES: Final = 32
USUAL_DAYS: Final = 7
LONGEST_DAYS: Final = 30
MOST_UPLOADS: Final = 60
"""Files in all, taken or not: each costs processor time."""
REQUESTS_A_MINUTE: Final = 60


class NoSuchLink(Exception):
    """There is none, or none any more. Which of the two is nobody's business."""


class TooOften(Exception):
    """One address knocks too often."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One file as the page sent it."""

    name: str
    kind: str
    content: bytes


@dataclass(slots=True)
class Outcome:
    """What became of the files: `refused` are sentences that name the file."""

    taken: list[KycDocument] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    missing: list[Asked] = field(default_factory=list)
    handed_in: bool = False


def create_link(
    *, record: KycRecord, acting_user: Acting, now: datetime, days: int = USUAL_DAYS, text_for_subject: str = ""
) -> tuple[UploadLink, str]:
    """A link and its token, which cannot be had again. Raises ValidationError, WrongState."""
    if not 1 <= days <= LONGEST_DAYS:
        raise ValidationError({"days": f"A link lasts from 1 day to {LONGEST_DAYS}."})
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with taking_turns(record.workspace_id):
        held = locked(record)
        if held.state not in OPEN_TO_SUBJECT:
            words = f"This record is {State(held.state).label.lower()}."
            raise WrongState(f"{words} A link is for a draft, or for a record that needs information.")
        link: UploadLink = UploadLink.objects.create(
            record=held,
            token_sha256=_hash(token),
            text_for_subject=text_for_subject.strip(),
            created_by=people.identity(acting_user),
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        after = {"record": held.pk, "expires_at": link.expires_at.isoformat()}
        _tell(link, "upload_link.create", acting_user, now, after=after)
    return link, token


def revoke_link(*, link: UploadLink, acting_user: Acting, now: datetime) -> UploadLink:
    """Takes a link back; at once, and twice as well as once."""
    with taking_turns(link.workspace_id):
        row: UploadLink = UploadLink.objects.select_for_update(of=("self",)).get(pk=link.pk)
        if row.revoked_at is None:
            row.revoked_at = now
            row.save(update_fields=["revoked_at"])
            _tell(row, "upload_link.revoke", acting_user, now, before={"record": row.record_id})
    return row


def find(token: str, *, now: datetime) -> UploadLink:
    """The link that this token opens. Raises NoSuchLink."""
    with unscoped(reason="a link's token tells its workspace"):
        link = (
            UploadLink.objects.select_related("record__subject", "workspace")
            .filter(token_sha256=_hash(token), revoked_at=None, used_at=None, expires_at__gt=now)
            .filter(record__state__in=OPEN_TO_SUBJECT, record__subject__erased_at=None)
            .first()
        )
        if link is None:
            raise NoSuchLink
        if link.opened_at is None:
            UploadLink.objects.filter(pk=link.pk).update(opened_at=now)
    return link  # type: ignore[no-any-return]


def count_request(address: str) -> None:
    """Raises TooOften. Each web process counts for itself; what a link may cost in all is counted in its row."""
    key = f"upload-links-{hashlib.sha256(address.encode()).hexdigest()}"
    cache.add(key, 0, timeout=60)
    try:
        if cache.incr(key) > REQUESTS_A_MINUTE:
            raise TooOften
    except ValueError:  # it ended between the two lines
        cache.set(key, 1, timeout=60)


def take_files(*, link: UploadLink, files: Sequence[Sent], now: datetime) -> Outcome:
    """Keeps what is good, says of the rest what is wrong, and hands the record in when nothing is missing.

    Of several at once with one link, those who come after it was used up leave nothing. Raises NoSuchLink.
    """
    outcome, prepared = Outcome(), []
    try:
        for file in files:
            with _naming_what_is_wrong(outcome):
                prepared.append(_prepared(link, file, now))
        _take(link, prepared, outcome, now)
    except BaseException:
        for row in prepared:
            documents.discard(row)
        raise
    with scoped(link.workspace_id):
        outcome.missing = [] if outcome.handed_in else documents.missing(link.record)
    return outcome


@contextmanager
def _naming_what_is_wrong(outcome: Outcome) -> Iterator[None]:
    try:
        yield
    except ValidationError as refusal:
        outcome.refused += refusal.messages


def _prepared(link: UploadLink, file: Sent, now: datetime) -> KycDocument:
    _count_upload(link)
    about = {"record": link.record, "content": file.content, "name": file.name, "kind": file.kind}
    return documents.prepare(**about, acting_user=None, now=now, by_subject=True)


def _take(link: UploadLink, prepared: list[KycDocument], outcome: Outcome, now: datetime) -> None:
    """In one transaction, so that a link is used up with the files of one of its users."""
    with taking_turns(link.workspace_id):
        if not UploadLink.objects.filter(pk=link.pk, used_at=None, revoked_at=None).exists():
            raise NoSuchLink
        for row in prepared:
            try:
                with _naming_what_is_wrong(outcome):
                    outcome.taken.append(documents.add(row, by_subject=True, acting_user=None, now=now))
            except WrongState:
                raise NoSuchLink from None
        if not outcome.refused:
            _hand_in(link, outcome, now)
    kept = {row.pk for row in outcome.taken}
    for row in prepared:
        if row.pk not in kept:
            documents.discard(row)


def handed_in(link: UploadLink) -> list[KycDocument]:
    """What lies on the record already, for the page."""
    with scoped(link.workspace_id):
        return list(KycDocument.objects.filter(record=link.record, state="clean").order_by("uploaded_at", "pk"))


def question(link: UploadLink) -> str:
    """What the reviewer asked last, or what the link was made with."""
    with scoped(link.workspace_id):
        asked = link.record.transitions.filter(verb="request_information").order_by("-sequence").first()
    if link.record.state == State.NEEDS_INFORMATION and asked and asked.text_for_subject:
        return str(asked.text_for_subject)
    return str(link.text_for_subject)


def _count_upload(link: UploadLink) -> None:
    with unscoped(reason="a link's own count"):
        had_room = UploadLink.objects.filter(pk=link.pk, uploads__lt=MOST_UPLOADS).update(uploads=F("uploads") + 1)
    if not had_room:
        raise ValidationError(f"{MOST_UPLOADS} files were sent with this link, which is all it takes. Ask for another.")


def _hand_in(link: UploadLink, outcome: Outcome, now: datetime) -> None:
    """In one transaction: the link is used up exactly when the record has moved on."""
    try:
        with taking_turns(link.workspace_id):
            held = locked(link.record)
            if documents.missing(held) or not _is_answered(held):
                return
            if held.state == State.DRAFT:
                review.submit(record=held, acting_user=None, now=now, by_subject=True)
            else:
                review.provide_information(record=held, acting_user=None, now=now, by_subject=True)
            link.used_at = now
            link.save(update_fields=["used_at"])
            _tell(link, "upload_link.hand_in", None, now, after={"record": held.pk})
            outcome.handed_in = True
    except ValidationError:
        # Something that the subject cannot fill in here. The files are kept; the customer sees a draft.
        outcome.handed_in = False


def _is_answered(record: KycRecord) -> bool:
    """Who was asked for more has sent something since."""
    if record.state != State.NEEDS_INFORMATION:
        return True
    asked = record.transitions.order_by("-sequence").first()
    sent = KycDocument.objects.filter(record=record, state="clean")
    return sent.filter(uploaded_at__gte=asked.at).exists() if asked else True


def is_complete(link: UploadLink) -> bool:
    """Whether nothing is missing but that it is handed in, as after a file too many that was not taken."""
    with scoped(link.workspace_id):
        return not documents.missing(link.record) and _is_answered(link.record)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _tell(link: UploadLink, action: str, acting_user: Acting, now: datetime, **entry: object) -> None:
    audit.record(
        workspace_id=link.workspace_id,
        action=action,
        subject=link,
        acting_user=acting_user,
        now=now,
        **entry,  # type: ignore[arg-type]
    )
