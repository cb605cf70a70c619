"""What the page of one case says. Reads rows, changes nothing, knows no request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django.urls import reverse
from django.utils import timezone

from accounts import roles
from accounts.admin.display import country_facts, panel_url, phone_facts
from accounts.admin.kyc import decisions, evidence, pieces, unlocks, words
from accounts.admin.kyc.decisions import Viewer
from accounts.components import Sentence
from accounts.kyc import documents, four_eyes, people, rules
from accounts.kyc import evidence as rests_on
from accounts.kyc.states import PROPOSED, WAITING, State
from accounts.models import KycRecord, KycTransition, Membership, Subject, User
from accounts.roles import Role

OPEN_TO_CHANGES: Final = (State.DRAFT, State.SUBMITTED, State.IN_REVIEW, State.NEEDS_INFORMATION, State.SUSPENDED)

DONE: Final = (State.APPROVED, State.WITHDRAWN, State.ERASED)


@dataclass(frozen=True, slots=True)
class Moved:
    """One line of the timeline."""

    at: datetime
    who: str
    what: str
    badge: dict[str, str]
    reasons: tuple[str, ...]
    to_subject: str
    to_colleagues: str
    note: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a second reviewer is asked to agree with."""

    what: str
    who: str
    at: datetime
    why_two: tuple[str, ...]
    reasons: tuple[str, ...]
    to_subject: str
    to_colleagues: str


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist."""

    name: str
    text: str
    done: bool


def loaded(pk: int) -> KycRecord | None:
    rows = KycRecord.objects.select_related("subject", "workspace", "renews")
    record: KycRecord | None = rows.filter(pk=pk).first()
    return record


def body(record: KycRecord, viewer: Viewer, now: datetime, *, who: User) -> dict[str, Any]:
    """Everything but the frame, and what other rooms know of the subject."""
    moves = list(record.transitions.order_by("sequence"))
    earlier = KycRecord.objects.filter(subject=record.subject).exclude(pk=record.pk).order_by("-pk")
    actors = [record.claimed_by, record.decided_by, record.confirmed_by, record.assigned_to]
    names = words.names_of([*actors, *(row.actor for row in moves)])
    choices = decisions.open_to(record, viewer, now)
    state = State(record.state)
    return {
        "record": record,
        "badge": words.badge_of(record),
        "clock": words.clock(record, now),
        "head": head(record, viewer, names, moves, now),
        "documents": evidence.documents(record, who),
        "subject_facts": subject_facts(record.subject, now.date()),
        "subject_phone": phone_facts(record.subject.phone) if record.subject.phone else None,
        "subject_countries": country_facts(country.code for country in record.subject.nationalities),
        "declared": declared(record),
        "declared_countries": country_facts(country.code for country in record.declared_countries),
        "unlocked": unlocks.unlocked_by(record, now, who) if state not in DONE else [],
        "checklist": checklist(record),
        "may_tick": state == State.IN_REVIEW and record.claimed_by == viewer.actor and viewer.may_review,
        "twins": evidence.twins(record, who),
        "screened": evidence.screened(record),
        "proposal": proposal(record, moves, names) if state in PROPOSED else None,
        "moves": [_moved(row, names) for row in reversed(moves)],
        "earlier": [_earlier(row) for row in earlier[:8]],
        "choices": choices,
        "is_mine": state == State.IN_REVIEW and record.claimed_by == viewer.actor,
        "colleagues": colleagues(viewer) if state == State.IN_REVIEW and choices else [],
        "seen_evidence": rests_on.hash_of(record),
        "seen_pieces": pieces.written(pieces.shown(record)),
        "may_edit": viewer.may_review and state in OPEN_TO_CHANGES,
        "may_read": viewer.may_review and state in documents.OPEN,
        "tried_panel_url": panel_url("subject", record.subject_id),
    }


# --- The sentence ---------------------------------------------------------------------------------


def head(
    record: KycRecord, viewer: Viewer, names: dict[str, str], moves: Sequence[KycTransition], now: datetime
) -> Sentence:
    """Where the case stands, whose it is, and what that means for who looks."""
    state, last = State(record.state), moves[-1] if moves else None
    who = words.name_in(names, record.claimed_by) if record.claimed_by else ""
    if state == State.IN_REVIEW:
        return _in_review(record, viewer, who, last, now)
    if state in PROPOSED:
        return _proposed(record, viewer, names, who, now)
    if state in WAITING:
        return _waiting(record, viewer, names, moves)
    because = f" {', '.join(words.reasons(last.reason_codes))}." if last and last.reason_codes else ""
    if state == State.APPROVED:
        tail = f" until {_day(record.expires_at)}" if record.expires_at else ""
        return Sentence("quiet", f"Approved at level {record.level}{tail}.", _decided_by(record, names))
    if state == State.REJECTED:
        return Sentence("danger", f"Rejected.{because} {record.get_rejection_display()}.", _decided_by(record, names))
    if state == State.NEEDS_INFORMATION:
        return Sentence("warning", f"Waiting for the subject.{because}", "The clock stands until there is an answer.")
    if state == State.EXPIRED:
        return Sentence("warning", f"The approval ended on {_day(record.expires_at)}.", "The gate does not count it.")
    return Sentence("unknown", _OTHERS[state])


_OTHERS: Final = {
    State.DRAFT: "A draft: nobody has handed it in yet.",
    State.WITHDRAWN: "Withdrawn. Nothing is decided about it.",
    State.ERASED: "Erased. What was known is gone.",
}


def _in_review(record: KycRecord, viewer: Viewer, who: str, last: KycTransition | None, now: datetime) -> Sentence:
    until = _clock_time(record.claimed_until)
    is_over = record.claimed_until is not None and record.claimed_until <= now
    if record.claimed_by == viewer.actor:
        ran_out = f"Your claim ran out at {until}: another reviewer may take it over."
        return Sentence("notice", "You are working on this case.", ran_out if is_over else _before(until))
    since = f" since {_clock_time(last.at)}" if last else ""
    if is_over:
        detail = f"That claim ran out at {until}, so another reviewer may take it over."
        return Sentence("notice", f"{who} was working on this case{since}.", detail)
    return Sentence("warning", f"{who} is working on this case{since}.", _before(until))


def _before(until: str) -> str:
    return f"Nobody else takes it before {until}."


def _proposed(record: KycRecord, viewer: Viewer, names: dict[str, str], who: str, now: datetime) -> Sentence:
    what = "approve" if record.state == State.PROPOSED_APPROVE else "reject"
    proposer = (
        "You propose" if record.decided_by == viewer.actor else f"{words.name_in(names, record.decided_by)} proposes"
    )
    text = f"{proposer} to {what} it. A second reviewer decides."
    if decisions.is_held(record, viewer, now):
        return Sentence(
            "warning", text, f"Being looked at by {who}, until {_clock_time(record.claimed_until)} at least."
        )
    return Sentence("notice", text, _why_not(record, viewer))


def _waiting(record: KycRecord, viewer: Viewer, names: dict[str, str], moves: Sequence[KycTransition]) -> Sentence:
    why = words.why_in_queue(record, moves[-1] if moves else None, names)
    if record.state == State.SUSPENDED:
        return Sentence("danger", f"{why}. The gate does not count this approval.", _why_not(record, viewer))
    assigned = words.name_in(names, record.assigned_to) if record.assigned_to else ""
    whose = "You are to take it." if record.assigned_to == viewer.actor else f"{assigned} is to take it."
    return Sentence("notice", f"Waits for a reviewer. {why}.", _why_not(record, viewer) or (whose if assigned else ""))


def _why_not(record: KycRecord, viewer: Viewer) -> str:
    """Why who looks cannot take part, so that nobody looks for a button."""
    if not viewer.may_review:
        return "Your role reads cases and does not decide them."
    if decisions.is_barred(record, viewer):
        return "You handed this case in, so somebody else decides it."
    if record.state in PROPOSED and record.decided_by == viewer.actor:
        return "You proposed this, so somebody else confirms it."
    if record.state in PROPOSED and not decisions.may_confirm(record, viewer):
        return "Confirming takes the role of a second reviewer."
    return ""


def _decided_by(record: KycRecord, names: dict[str, str]) -> str:
    if not record.decided_by or record.decided_at is None:
        return ""
    said = f"By {words.name_in(names, record.decided_by)} on {_day(record.decided_at)}"
    if record.confirmed_by:
        return f"{said}, confirmed by {words.name_in(names, record.confirmed_by)}."
    return f"{said}; one person decided, for want of a second." if record.fallback else f"{said}."


# --- Parts ----------------------------------------------------------------------------------------


def subject_facts(subject: Subject, today: date) -> list[tuple[str, str]]:
    born = evidence.born(subject.date_of_birth)
    age = f" ({_years(subject.date_of_birth, today)} years)" if subject.date_of_birth else ""
    residence = country_facts([subject.country_of_residence.code]) if subject.country_of_residence.code else []
    facts = [
        ("Reference", subject.reference),
        ("E-mail", subject.email),
        ("Born", f"{born}{age}" if born else ""),
        ("Lives in", f"{residence[0]['flag']} {residence[0]['name']}" if residence else ""),
        ("Devices", ", ".join(str(device) for device in subject.devices)),
    ]
    return [(name, value) for name, value in facts if value]


def _years(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def declared(record: KycRecord) -> list[tuple[str, str]]:
    channels = [unlocks.CHANNELS.get(code, code) for code in record.declared_channels]
    return [
        ("Channels", unlocks.in_words(channels) or "Every channel"),
        ("Calls per day", f"{record.declared_calls_per_day:,}" if record.declared_calls_per_day else "Not said"),
        ("Purpose", record.declared_purpose or "Not said"),
    ]


def checklist(record: KycRecord) -> list[Item]:
    asked = rules.CHECKLISTS[record.level]
    return [Item(name, text, bool(record.checklist.get(name))) for name, text in asked.items()]


def proposal(record: KycRecord, moves: Sequence[KycTransition], names: dict[str, str]) -> Proposal | None:
    last = next((row for row in reversed(moves) if row.to_state in PROPOSED), None)
    if last is None:
        return None
    return Proposal(
        what="Approval" if record.state == State.PROPOSED_APPROVE else "Rejection",
        who=words.name_in(names, last.actor),
        at=last.at,
        why_two=tuple(four_eyes.in_words(record.second_reasons)),
        reasons=tuple(words.reasons(last.reason_codes)),
        to_subject=last.text_for_subject,
        to_colleagues=last.text_for_colleagues,
    )


def colleagues(viewer: Viewer) -> list[User]:
    """Who it may be handed over to."""
    return [user for user in reviewers() if f"user:{user.pk}" != viewer.actor]


def reviewers() -> list[User]:
    may = [role for role in Role if roles.allows(role, people.MAY_REVIEW)]
    rows = Membership.objects.filter(role__in=may, user__is_active=True).select_related("user")
    return sorted((row.user for row in rows), key=str)


def _moved(row: KycTransition, names: dict[str, str]) -> Moved:
    return Moved(
        at=row.at,
        who=words.name_in(names, row.actor) if row.actor else row.actor_label,
        what=words.VERBS.get(row.verb, row.verb.replace("_", " ")),
        badge={"text": State(row.to_state).label, "tone": words.TONES.get(State(row.to_state), "unknown")},
        reasons=tuple(words.reasons(row.reason_codes)),
        to_subject=row.text_for_subject,
        to_colleagues=row.text_for_colleagues,
        note="One person stood in for two." if row.fallback == "one_person" else "",
    )


def _earlier(row: KycRecord) -> dict[str, Any]:
    return {
        "href": reverse("admin:accounts_kycrecord_change", args=[row.pk]),
        "level": row.get_level_display(),
        "badge": words.badge_of(row),
        "at": row.decided_at or row.submitted_at or row.created_at,
    }


def _day(at: datetime | None) -> str:
    return f"{timezone.localtime(at):%-d %B %Y}" if at else ""


def _clock_time(at: datetime | None) -> str:
    """The time alone where it is of today."""
    local = timezone.localtime(at) if at else None
    if local is None:
        return ""
    return f"{local:%H:%M}" if local.date() == timezone.localdate() else f"{local:%-d %B, %H:%M}"
