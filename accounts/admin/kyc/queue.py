"""The queue: which records a reviewer sees, in which order, and what each line says. Never counts all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.urls import reverse

from accounts.admin.display import searched_digits
from accounts.admin.kyc import words
from accounts.components import Sentence
from accounts.kyc.states import PROPOSED, State
from accounts.models import KycRecord, KycTransition

PER_PAGE: Final = 50
MOST_PAGES: Final = 2000
MOST_COUNTED: Final = 1000
VIEWS: Final = {
    "": "Queue",
    "mine": "Mine",
    "overdue": "Overdue",
    "second": "For a second reviewer",
    "subject": "Waiting for the subject",
    "all": "All records",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to see. `actor` is who looks, as rows name them."""

    view: str
    state: str
    level: str
    search: str
    subject: str
    page: int
    actor: str

    @classmethod
    def by(cls, given: Mapping[str, str], actor: str) -> Asked:
        page = given.get("page", "")
        asked = cls(
            view=given.get("view", ""),
            state=given.get("state", ""),
            level=given.get("level", ""),
            search=given.get("q", "").strip().replace("\x00", "")[:120],
            subject=given.get("subject", ""),
            page=min(max(int(page), 1), MOST_PAGES) if page.isdecimal() and len(page) < 7 else 1,
            actor=actor,
        )
        narrowed = asked.state or asked.search or asked.subject
        # Who looks for something looks for it everywhere, unless a view was chosen.
        return asked if asked.view in VIEWS and (asked.view or not narrowed) else replace(asked, view="all")

    @property
    def is_narrowed(self) -> bool:
        return bool(self.state or self.level or self.search or self.subject)

    def href(self, **changes: Any) -> str:
        kept = {"view": self.view, "state": self.state, "level": self.level, "q": self.search}
        kept |= {"subject": self.subject, "page": ""} | changes
        query = urlencode({name: value for name, value in kept.items() if value})
        address = reverse("admin:accounts_kycrecord_changelist")
        return f"{address}?{query}" if query else address


def tabs(asked: Asked) -> list[dict[str, object]]:
    """In the shape of components/_tabs.html."""
    plain = replace(asked, state="", level="", search="", subject="")
    return [
        {"label": name, "href": plain.href(view=view), "current": asked.view == view} for view, name in VIEWS.items()
    ]


@dataclass(frozen=True, slots=True)
class Line:
    """One record in the queue."""

    pk: int
    href: str
    name: str
    reference: str
    level: str
    level_number: int
    badge: dict[str, str]
    why: str
    since: datetime | None
    clock: words.Clock | None
    holder: str
    is_mine: bool
    held_until: datetime | None
    assigned: str


def narrowed(asked: Asked, now: datetime) -> QuerySet[KycRecord]:
    rows = _view(asked, now)
    if asked.state in State.values:
        rows = rows.filter(state=asked.state)
    if asked.level in {"1", "2", "3"}:
        rows = rows.filter(level=int(asked.level))
    if asked.subject:
        rows = rows.filter(subject_id=asked.subject) if asked.subject.isdecimal() else rows.none()
    return rows.filter(_found_by(asked.search)) if asked.search else rows


def _view(asked: Asked, now: datetime) -> QuerySet[KycRecord]:
    """A due time is what the queue is sorted by; only what is with us has one."""
    with_us = KycRecord.objects.filter(due_at__isnull=False).order_by("due_at", "pk")
    if asked.view == "mine":
        return with_us.filter(Q(claimed_by=asked.actor) | Q(assigned_to=asked.actor))
    if asked.view == "overdue":
        return with_us.filter(due_at__lt=now)
    if asked.view == "second":
        return with_us.filter(state__in=PROPOSED).exclude(decided_by=asked.actor)
    if asked.view == "subject":
        return KycRecord.objects.filter(state=State.NEEDS_INFORMATION).order_by("submitted_at", "pk")
    if asked.view == "all":
        return KycRecord.objects.order_by("-pk")
    return with_us


def _found_by(search: str) -> Q:
    digits = searched_digits(search)
    if digits:
        return Q(subject__phone__contains=digits) | Q(subject__reference__icontains=search)
    return Q(subject__name__icontains=search) | Q(subject__reference__icontains=search)


@dataclass(frozen=True, slots=True)
class Page:
    lines: tuple[Line, ...]
    size: int
    previous_href: str
    next_href: str


def page(asked: Asked, now: datetime) -> Page:
    """Five queries, however many records there are."""
    start = (asked.page - 1) * PER_PAGE
    rows = list(narrowed(asked, now).select_related("subject")[start : start + PER_PAGE + 1])
    shown = rows[:PER_PAGE]
    last = _last_moves(shown)
    names = words.names_of(actor for row in shown for actor in (row.claimed_by, row.decided_by, row.assigned_to))
    return Page(
        lines=tuple(_line(row, last.get(row.pk), names, asked.actor, now) for row in shown),
        size=PER_PAGE,
        previous_href=asked.href(page=asked.page - 1) if asked.page > 1 else "",
        next_href=asked.href(page=asked.page + 1) if len(rows) > PER_PAGE else "",
    )


def _last_moves(rows: Sequence[KycRecord]) -> dict[int, KycTransition]:
    wanted = Q(pk__in=[])
    for row in rows:
        wanted |= Q(record_id=row.pk, sequence=row.moves)
    return {move.record_id: move for move in KycTransition.objects.filter(wanted)}


def _line(row: KycRecord, last: KycTransition | None, names: dict[str, str], actor: str, now: datetime) -> Line:
    is_held = bool(row.claimed_by) and row.claimed_until is not None and row.claimed_until > now
    return Line(
        pk=row.pk,
        href=reverse("admin:accounts_kycrecord_change", args=[row.pk]),
        name=row.subject.name,
        reference=row.subject.reference,
        level=row.get_level_display(),
        level_number=row.level,
        badge=words.badge_of(row),
        why=words.why_in_queue(row, last, names),
        since=row.submitted_at,
        clock=words.clock(row, now),
        holder=words.name_in(names, row.claimed_by) if is_held else "",
        is_mine=is_held and row.claimed_by == actor,
        held_until=row.claimed_until if is_held else None,
        assigned=words.name_in(names, row.assigned_to) if row.assigned_to and not is_held else "",
    )


def head(now: datetime) -> Sentence:
    """How the queue stands, in one sentence. Counts no further than a thousand."""
    with_us = KycRecord.objects.filter(due_at__isnull=False).order_by()
    waiting, overdue = with_us[: MOST_COUNTED + 1].count(), with_us.filter(due_at__lt=now)[: MOST_COUNTED + 1].count()
    if not waiting:
        return Sentence("quiet", "Nothing waits for a decision.")
    text = f"{_counted(waiting)} {'waits' if waiting == 1 else 'wait'} for a decision"
    if not overdue:
        return Sentence("quiet", f"{text}, none is overdue.")
    oldest = with_us.order_by("due_at").values_list("due_at", flat=True)[0]
    late = words.span((now - oldest).total_seconds())
    return Sentence("warning", f"{text}, {_counted(overdue)} of them overdue.", f"The oldest by {late}.")


def _counted(count: int) -> str:
    return f"{MOST_COUNTED:,} or more" if count > MOST_COUNTED else f"{count:,}"
