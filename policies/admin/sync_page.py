"""The page of the sync: whether UponAI has everything as the console says, and what is not in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from accounts.admin.base import ConsoleAdmin, acting, is_htmx
from accounts.admin.display import phone_facts, searched_digits
from accounts.components import Sentence
from policies.admin import phone_number_page
from policies.models import PhoneNumber, SyncTarget
from policies.sync import progress, push, words
from policies.sync.figures import Figures, figures, out_of_order

State = SyncTarget.State
PER_PAGE = 50
PRESSING = (State.FAILED, State.DRIFT, State.UNKNOWN, State.PENDING)
WHICH: dict[str, tuple[str, Q]] = {
    "": ("Everything", Q()),
    "failed": ("Failed", Q(sync_target__state=State.FAILED)),
    "drift": ("Changed at UponAI", Q(sync_target__state=State.DRIFT)),
    "waiting": (
        "Waiting",
        Q(sync_target__state__in=[State.PENDING, State.UNKNOWN], sync_target__due_at__isnull=False),
    ),
    "missing": ("Not listed any more", Q(missing_since__isnull=False)),
    "flagged": ("New, not confirmed", Q(flagged_since__isnull=False)),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the list somebody wants to see."""

    which: str
    policy: int | None
    search: str
    page: str

    @classmethod
    def by(cls, request: HttpRequest) -> Asked:
        policy = request.GET.get("policy", "")
        which = request.GET.get("which", "")
        return cls(
            which=which if which in WHICH else "",
            policy=int(policy) if policy.isascii() and policy.isdecimal() and len(policy) < 19 else None,
            search=request.GET.get("q", "").replace("\0", "")[:120].strip(),
            page=request.GET.get("page", "1"),
        )

    @property
    def is_narrowed(self) -> bool:
        return bool(self.which or self.policy or self.search)

    def href(self, **others: Any) -> str:
        given = {"which": self.which, "policy": self.policy, "q": self.search} | others
        query = urlencode({name: value for name, value in given.items() if value})
        return f"{reverse('admin:policies_synctarget_changelist')}?{query}" if query else "?"

    def rows(self) -> QuerySet[PhoneNumber]:
        rows = out_of_order().filter(WHICH[self.which][1])
        if self.policy:
            rows = rows.filter(policy_id=self.policy)
        if self.search:
            digits = searched_digits(self.search)
            rows = rows.filter(Q(e164__contains=digits) if digits else Q(nickname__icontains=self.search))
        whens = [When(sync_target__state=state, then=Value(place)) for place, state in enumerate(PRESSING)]
        pressing = Case(*whens, default=Value(len(PRESSING)), output_field=IntegerField())
        return rows.order_by(pressing, "sync_target__desired_at", "e164")


@admin.register(SyncTarget)
class SyncTargetAdmin(ConsoleAdmin):
    """Has no form: what is brought to UponAI is edited where it is said."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = self._live(request)
        if is_htmx(request):
            return TemplateResponse(request, "policies/_sync_live.html", context)
        return self.page(request, "policies/sync.html", {"title": "Sync", "opts": None, **context})

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return redirect("admin:policies_phonenumber_change", self.found(request, object_id).phone_number_id)

    def own_urls(self) -> list[tuple[str, str, Callable[..., HttpResponse]]]:
        return [
            ("progress/<int:policy_id>/", "progress", self.progress_view),
            ("<int:object_id>/retry/", "retry", self.retry_view),
        ]

    def retry_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        if request.method != "POST" or not request.user.has_perm("policies.change_phonenumber"):
            raise PermissionDenied
        target = self.found(request, object_id)
        push.retry(sync_target=target, **acting(request))
        messages.success(request, f"{phone_facts(target.phone_number.e164)['display']} is tried again now.")
        return redirect(Asked.by(request).href(page=request.GET.get("page", "")))

    def progress_view(self, request: HttpRequest, policy_id: int) -> HttpResponse:
        """How far one policy's newest rules are; its page asks for this again and again."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return TemplateResponse(
            request, "policies/_progress.html", {"progress": progress.of_policy(policy_id), "live": True}
        )

    def _live(self, request: HttpRequest) -> dict[str, Any]:
        asked, now = Asked.by(request), timezone.now()
        found = figures(workspace_id=request.workspace.pk, now=now)  # type: ignore[attr-defined]
        page = Paginator(asked.rows(), PER_PAGE).get_page(asked.page)
        return {
            "asked": asked,
            "figures": found,
            "sentence": Sentence(words.tone(found), words.sentence(found), words.detail(found)),
            "cards": cards(found),
            "tabs": _tabs(asked, found),
            "under_way": progress.under_way() if found.total > found.states[State.SYNCED] else (),
            "lines": [_line(number, now) for number in page.object_list],
            "page": page,
            "previous_href": asked.href(page=page.number - 1) if page.has_previous() else "",
            "next_href": asked.href(page=page.number + 1) if page.has_next() else "",
            "live_url": asked.href(page=page.number if page.number > 1 else ""),
            "here": request.GET.urlencode(),
            "may_change": request.user.has_perm("policies.change_phonenumber"),
        }


def cards(found: Figures) -> list[dict[str, Any]]:
    """In the shape of components/_number_card.html."""
    oldest = found.oldest_unsynced_at
    sent = f"{found.being_sent:,} being sent now" if found.being_sent else ""
    trouble = found.in_trouble
    return [
        {"label": "Waiting for UponAI", "value": f"{found.waiting:,}", "usual": sent},
        {
            "label": "Waits longest",
            "value": words.ago(oldest, found.now).removesuffix(" ago") if oldest else "—",
            "usual": "since it was changed here" if oldest else "nothing waits",
        },
        {
            "label": "Applied a minute",
            "value": f"{found.applied_last_minute:,}",
            "usual": f"at most {found.requests_per_second:,} requests a second",
        },
        {
            "label": "Failed last time",
            "value": f"{trouble:,}",
            "tone": "warning" if trouble else "",
            "note": f"{words.short(found.last_error)}" if trouble and found.last_error else "",
        },
        _breaker_card(found),
    ]


def _breaker_card(found: Figures) -> dict[str, Any]:
    card = {"label": "Asking UponAI", "value": "Yes", "usual": _last_answer(found), "tone": "", "note": ""}
    if found.key_refused_at:
        refused = f"key refused {words.ago(found.key_refused_at, found.now)}"
        return card | {"value": "No", "tone": "danger", "note": refused}
    if found.disconnected_at:
        return card | {"value": "No", "tone": "warning", "note": "disconnected"}
    if found.breaker.until:
        paused = f"paused; next try {words.ago(found.breaker.until, found.now)}"
        return card | {"value": "Paused", "tone": "warning", "note": paused}
    if found.breaker.state == "half_open":
        return card | {"value": "Trying", "tone": "warning", "note": "the next request will tell"}
    return card


def _last_answer(found: Figures) -> str:
    at = found.connection.last_answer_at if found.connection else None
    return f"answered {words.ago(at, found.now)}" if at else ""


def _tabs(asked: Asked, found: Figures) -> list[dict[str, Any]]:
    """Those that would list something, and the one that is chosen."""
    counts = {
        "failed": found.states[State.FAILED],
        "drift": found.states[State.DRIFT],
        "waiting": found.waiting,
        "missing": found.missing,
        "flagged": found.flagged,
    }
    return [
        {
            "label": f"{label} {counts[which]:,}" if which else label,
            "href": asked.href(which=which),
            "current": which == asked.which,
        }
        for which, (label, _) in WHICH.items()
        if not which or counts[which] or which == asked.which
    ]


def _line(number: PhoneNumber, now: datetime) -> dict[str, Any]:
    target = number.sync_target
    waits = target.due_at is not None and target.state != State.SYNCED
    return {
        "number": phone_facts(number.e164, reverse("admin:policies_phonenumber_change", args=[number.pk])),
        "nickname": number.nickname,
        "policy": number.policy,
        "target": target,
        "state": target.state,
        "reason": _reason(number),
        "since": number.missing_since or target.drift_since or target.desired_at,
        "next_at": target.due_at if waits else None,
        "trying_now": waits and target.due_at <= now,
        "may_retry": target.state != State.SYNCED,
    }


def _reason(number: PhoneNumber) -> str:
    if number.flagged_since and number.sync_target.state == State.SYNCED:
        return "It appeared at UponAI, and nobody has said yet what it may do."
    return phone_number_page.badge_sentence(number)
