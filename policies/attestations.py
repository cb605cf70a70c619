"""What people saw in UponAI's dashboard, where no API reaches. Never a measurement, and never worded as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.utils import timezone

from accounts import audit
from accounts.audit import Acting
from accounts.models import PublicKey, User, Workspace
from accounts.workspaces import taking_turns
from policies.models import Attestation
from policies.rules_input import FieldProblem, Refused

LOOK_AGAIN_AFTER: Final = timedelta(days=30)
"""UponAI tells nobody that a toggle in its dashboard was moved. A month is how often people can be asked to look
without ceasing to, and the longest for which somebody else's change goes unseen."""

Topic, Seen = Attestation.Topic, Attestation.Seen

KEY_TOPICS: Final = (Topic.FRAUD_PROTECTION, Topic.ABUSE_PREVENTION, Topic.ALLOWED_DOMAINS)
LONGEST_NOTE: Final = Attestation._meta.get_field("note").max_length
LONGEST_LINK: Final = Attestation._meta.get_field("link").max_length

_DOMAINS: Final = {Seen.ON: "as noted here", Seen.OFF: "other ones than noted here", Seen.NOT_FOUND: "not found there"}
_KYC: Final = {Seen.ON: "approved", Seen.OFF: "not approved", Seen.NOT_FOUND: "not found there"}
_TOGGLE: Final = {Seen.ON: "on", Seen.OFF: "off", Seen.NOT_FOUND: "not found there"}


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest look at one topic of a public key, or of the account; `newest` None where nobody ever looked."""

    topic: Attestation.Topic
    public_key: PublicKey | None
    newest: Attestation | None

    def is_due(self, now: datetime) -> bool:
        return self.newest is None or self.newest.due_at <= now


def attest(
    *,
    workspace_id: int,
    topic: str,
    seen: str,
    acting_user: Acting,
    now: datetime,
    public_key: PublicKey | None = None,
    link: str = "",
    note: str = "",
) -> Attestation:
    """Notes what somebody saw in UponAI's dashboard now; they are asked to look again in a month. Raises Refused."""
    problems = [*_misplaced(topic, seen, public_key), *_unreadable(link.strip(), note.strip())]
    if problems:
        raise Refused(problems)
    with taking_turns(workspace_id):
        row: Attestation = Attestation.objects.create(
            topic=topic,
            public_key=public_key,
            seen=seen,
            checked_by=acting_user if isinstance(acting_user, User) else None,
            checked_label=_called(acting_user),
            checked_at=now,
            due_at=now + LOOK_AGAIN_AFTER,
            link=link.strip(),
            note=note.strip(),
        )
        audit.record(
            workspace_id=workspace_id,
            action="public_key.attest" if public_key else "workspace.attest",
            subject=public_key or Workspace.objects.get(pk=workspace_id),
            acting_user=acting_user,
            now=now,
            after={"topic": topic, "seen": seen, "link": row.link, "look_again_by": row.due_at},
            reason=row.note,
        )
    return row


def of_key(public_key: PublicKey) -> list[Standing]:
    return of_keys([public_key])


def of_keys(keys: Iterable[PublicKey]) -> list[Standing]:
    """Every topic of each of these keys that is UponAI's own and still in use, key by key."""
    shown = [key for key in keys if key.kind == PublicKey.Kind.UPONAI and key.status == PublicKey.Status.ACTIVE]
    newest: dict[tuple[int, str], Attestation] = {}
    for row in Attestation.objects.filter(public_key__in=shown).order_by("checked_at", "pk"):
        newest[row.public_key_id, row.topic] = row
    return [Standing(topic, key, newest.get((key.pk, topic))) for key in shown for topic in KEY_TOPICS]


def of_account() -> Standing:
    """What was seen of the account's own KYC at UponAI."""
    rows = Attestation.objects.filter(topic=Topic.KYC, public_key=None)
    return Standing(Topic.KYC, None, rows.order_by("-checked_at", "-pk").first())


def in_words(standing: Standing) -> str:
    """ "Fraud Protection: on, as Ada saw on 3 Nov; look again by 3 Dec"; who reads it knows it for a report."""
    newest = standing.newest
    if newest is None:
        return f"{standing.topic.label}: nobody has looked yet"
    words = {Topic.ALLOWED_DOMAINS: _DOMAINS, Topic.KYC: _KYC}.get(standing.topic, _TOGGLE)
    found, by = words[Seen(newest.seen)], newest.checked_label
    return (
        f"{standing.topic.label}: {found}, as {by} saw on {_day(newest.checked_at)}; "
        f"look again by {_day(newest.due_at)}"
    )


def answers(topic: Attestation.Topic) -> list[tuple[str, str]]:
    """What may have been seen of a topic, in the words of its sentence."""
    words = {Topic.ALLOWED_DOMAINS: _DOMAINS, Topic.KYC: _KYC}.get(topic, _TOGGLE)
    return [(seen.value, text.capitalize()) for seen, text in words.items()]


def _day(at: datetime) -> str:
    return f"{timezone.localtime(at):%-d %b}"


def _called(acting_user: Acting) -> str:
    if isinstance(acting_user, User):
        return acting_user.name or acting_user.email
    return audit.label_of(acting_user)


def _misplaced(topic: str, seen: str, public_key: PublicKey | None) -> Iterable[FieldProblem]:
    if seen not in Seen.values:
        yield FieldProblem("seen", "invalid_choice", f"What was seen is one of {', '.join(Seen.values)}.")
    known = KEY_TOPICS if public_key else (Topic.KYC,)
    if topic not in known:
        whose = "a public key" if public_key else "the account"
        yield FieldProblem("topic", "invalid_choice", f"Of {whose} these can be looked up: {', '.join(known)}.")
    if public_key and public_key.kind != PublicKey.Kind.UPONAI:
        yield FieldProblem(
            "public_key",
            "not_theirs",
            "This key is the console's own: UponAI's dashboard does not have it, and what protects it is enforced and "
            "counted at the gate. Only UponAI's own keys have something to be looked up.",
        )


def _unreadable(link: str, note: str) -> Iterable[FieldProblem]:
    if len(note) > LONGEST_NOTE:
        yield FieldProblem("note", "max_length", f"A note has at most {LONGEST_NOTE} characters.")
    if len(link) > LONGEST_LINK:
        yield FieldProblem("link", "max_length", f"A link has at most {LONGEST_LINK} characters.")
    elif link:
        try:
            URLValidator(schemes=["http", "https"])(link)
        except ValidationError:
            yield FieldProblem("link", "invalid", "The link must be an address such as https://example.com/page.")
