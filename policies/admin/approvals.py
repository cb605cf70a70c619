"""The pages of what waits for a second person: what it would open, what that would expose, and the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesRadioFilter
from unfold.decorators import display

from accounts.admin.base import ConsoleAdmin, acting
from accounts.admin.display import badge, country_facts, time_cell, with_numbers_written
from accounts.components import Action, Sentence
from policies import approvals
from policies.admin.country_input import how_many
from policies.admin.money import usd
from policies.models import ProposedChange
from policies.sync import words

State = ProposedChange.State
TIER_WORDS: Final = {
    "T1": "denied by default: where most toll fraud ends",
    "T2": "that fraud prefers",
    "T3": "of ordinary exposure",
}
_DIRECTIONS: Final = {"inbound": "May be called from", "outbound": "May call"}
_TONES: Final = {State.AWAITING: "pending", State.APPROVED: "synced", State.REJECTED: "failed"}


@admin.register(ProposedChange)
class ProposedChangeAdmin(ConsoleAdmin):
    list_display = ("thing", "state_badge", "exposes", "proposed", "ends")
    list_display_links = ("thing",)
    list_filter = (("state", ChoicesRadioFilter),)
    list_select_related = ("proposed_by",)
    ordering = ("-proposed_at", "-pk")
    search_fields = ("about", "reason")
    search_help_text = "What it is about, or why"
    empty_words = {
        "icon": "group",
        "title": "Nothing waits for a second person",
        "text": "Where the settings ask for it, opening a risky country waits here until another person agrees.",
    }
    list_before_template = "policies/exception_list_before.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """They come from edits that somebody made."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        waiting = approvals.awaiting().count()
        said = f"{waiting} change{'s' * (waiting != 1)} wait{'s' * (waiting == 1)} for a second person."
        sentence = Sentence("warning", said) if waiting else Sentence("quiet", "Nothing waits for a second person.")
        context = {"title": "Approvals", "sentences": [sentence]}
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        row = self.found(request, object_id)
        return self.page(request, "policies/proposal.html", _page(row, request, may=_may(request)))

    def own_urls(self) -> list[tuple[str, str, Callable[..., HttpResponse]]]:
        return [
            (f"<int:object_id>/{name}/", name, self._answering(verb, done))
            for name, verb, done in (
                ("approve", approvals.approve, "Approved, and done."),
                ("reject", approvals.reject, "Rejected. Nothing was changed."),
                ("withdraw", approvals.withdraw, "Withdrawn. Nothing was changed."),
            )
        ]

    def _answering(self, verb: Callable[..., Any], done: str) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: int) -> HttpResponse:
            if request.method != "POST" or not _may(request):
                raise PermissionDenied
            row = self.found(request, object_id)
            given = {} if verb is approvals.withdraw else {"answer": request.POST.get("answer", "")}
            try:
                verb(proposal=row, **given, **acting(request))
            except (approvals.NotEntitled, approvals.Conflict) as refusal:
                messages.error(request, str(refusal))
            else:
                messages.success(request, done)
            return redirect(self.change_url(row))

        return view

    # --- The list -----------------------------------------------------------------------------------

    @display(description="What")
    def thing(self, row: ProposedChange) -> str:
        return with_numbers_written(row.about)

    @display(description="State")
    def state_badge(self, row: ProposedChange) -> str:
        return badge(row.get_state_display(), _TONES.get(State(row.state), ""), approvals.standing(row))

    @display(description="Exposure, an hour")
    def exposes(self, row: ProposedChange) -> str:
        return f"{usd(row.exposure.get('before_usd_per_hour'))} → {usd(row.exposure.get('after_usd_per_hour'))}"

    @display(description="Proposed", ordering="proposed_at")
    def proposed(self, row: ProposedChange) -> str:
        return time_cell(row.proposed_at)

    @display(description="Answered, or ends", ordering="expires_at")
    def ends(self, row: ProposedChange) -> str:
        return time_cell(row.decided_at or row.expires_at)


def _may(request: HttpRequest) -> bool:
    return request.user.has_perm(approvals.RIGHT)


def _page(row: ProposedChange, request: HttpRequest, *, may: bool) -> dict[str, Any]:
    waits = row.state == State.AWAITING
    mine = approvals.is_proposer(row, request.user)  # type: ignore[arg-type]
    return {
        "title": with_numbers_written(row.about),
        "proposal": row,
        "sentence": _sentence(row, waits=waits, mine=mine, may=may),
        "proposer": approvals.proposer_of(row),
        "decider": approvals.decider_of(row) if row.decided_at else "",
        "parts": [_part(part) for part in row.difference.get("parts", ())],
        "more_parts": row.difference.get("more_parts", 0),
        "figures": _figures(row.exposure),
        "unchanged": _unchanged_words(row.exposure),
        "answer_within": words.ago(max(row.expires_at, timezone.now()), timezone.now()).removeprefix("in "),
        "exposure_href": reverse("exposure-page"),
        "may_answer": waits and may and not mine,
        "could_approve": approvals.who_could_approve(row, now=timezone.now()) if waits else (),
        "list_href": reverse("admin:policies_proposedchange_changelist"),
    }


def _sentence(row: ProposedChange, *, waits: bool, mine: bool, may: bool) -> Sentence:
    about = with_numbers_written(row.about)
    if not waits:
        tone = "quiet" if row.state == State.APPROVED else "notice"
        return Sentence(tone, approvals.standing(row), f"{about}. “{row.answer}”" if row.answer else about)
    if not mine:
        return Sentence("warning", "This waits for a second person. Nothing was changed yet.", about)
    withdraw = Action(
        "Withdraw",
        reverse("admin:policies_proposedchange_withdraw", args=[row.pk]),
        post=True,
        confirm="Nobody can approve it any more then. Nothing else changes.",
    )
    text = "You proposed this. It waits for somebody else, and nothing was changed yet."
    return Sentence("notice", text, about, (withdraw,) if may else ())


def _figures(found: dict[str, Any]) -> list[dict[str, str]]:
    """What could be burnt within an hour, before and after."""
    both = {"Through the gate": [found.get("before_usd_per_hour"), found.get("after_usd_per_hour")]}
    both |= {f"Of that towards {tier}": figures for tier, figures in found.get("by_tier_usd_per_hour", {}).items()}
    both["With a leaked private key"] = found.get("without_gate_usd_per_hour", [None, None])
    return [
        {"name": name, "text": f"{usd(was)}, as now" if was == then else f"{usd(was)} → {usd(then)}"}
        for name, (was, then) in both.items()
    ]


def _unchanged_words(found: dict[str, Any]) -> str:
    """Equal figures say little unless it is said why they are equal."""
    if found.get("before_usd_per_hour") != found.get("after_usd_per_hour"):
        return ""
    return "What could be burnt through the gate does not change: it is bounded by something else already."


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """Newly allowed countries by tier, the most exposed first."""
    by_tier: dict[str, list[str]] = {}
    for country in part["countries"]:
        by_tier.setdefault(country["tier"], []).append(country["code"])
    others = part["count"] - len(part["about"])
    return {
        "title": _DIRECTIONS.get(part["direction"], part["direction"]),
        "about": ", ".join(map(with_numbers_written, part["about"])) + (f" and {others} more" if others > 0 else ""),
        "tiers": [
            {"name": tier, "words": TIER_WORDS.get(tier, ""), "countries": country_facts(codes)}
            for tier, codes in sorted(by_tier.items())
        ],
        "others": part["others"],
        "removed": country_facts(part.get("removed", ())),
        "change": "" if part["before"] == [] else f"From {how_many(part['before'])} to {how_many(part['after'])}. ",
    }
