"""The audit log's pages: read only, each entry with what was before and after."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Case, F, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AllValuesCheckboxFilter, RangeDateTimeFilter
from unfold.decorators import display

from accounts.admin.base import ConsoleAdmin
from accounts.admin.display import time_cell, with_numbers_written
from accounts.kyc import masking
from accounts.kyc.privacy import DOTS
from accounts.models import AuditEntry

SPELT_OTHERWISE = {
    "kyc": "KYC",
    "api": "API",
    "uponai": "UponAI",
    "url": "URL",
    "ip": "IP",
    "sms": "SMS",
}
BETWEEN, NOTHING = " · ", "—"
AS_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)")


def in_words(name: str) -> str:
    """A name of our code as a person would write it: "kyc_record" is "KYC record"."""
    words = [SPELT_OTHERWISE.get(word, word) for word in name.replace("_", " ").split()]
    text = " ".join(words).replace("re assert", "re-assert")
    return text[:1].upper() + text[1:]


def action_in_words(action: str) -> str:
    subject, _, verb = action.partition(".")
    words = in_words(verb)
    return f"{in_words(subject)}: {words[:1].lower()}{words[1:]}"


def changes(entry: AuditEntry, *, sees_subjects: bool = False) -> list[dict[str, Any]]:
    """What differs between before and after, field by field; of lists, what came and what went."""
    detail = entry.detail or {}
    found = differences(detail.get("before"), detail.get("after"))
    return found if sees_subjects or not masking.is_about_people(entry) else [_masked(change) for change in found]


def _masked(change: dict[str, Any]) -> dict[str, Any]:
    """Once it is known what differs: two fields of dots would be the same."""
    if change["field"].partition(BETWEEN)[0] in SHOWN:
        return change
    sides = {name: value for name, value in change.items() if name != "field"}
    masked = {name: [DOTS] * len(value) if isinstance(value, list) else _dots(value) for name, value in sides.items()}
    return {"field": change["field"].partition(BETWEEN)[0], **masked}


def _dots(text: str) -> str:
    return NOTHING if text == NOTHING else DOTS


def differences(before_facts: Any, after_facts: Any) -> list[dict[str, Any]]:
    """Where two nested objects differ; None stands for an object that was not there."""
    before, after = dict(_leaves(before_facts)), dict(_leaves(after_facts))
    return [
        _change(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if _text(before.get(name)) != _text(after.get(name))
    ]


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, (*path, str(name)))
    elif path:
        yield BETWEEN.join(in_words(name) for name in path), value


def _change(name: str, before: Any, after: Any) -> dict[str, Any]:
    if isinstance(before, list) or isinstance(after, list):
        before, after = (value if isinstance(value, list) else [] for value in (before, after))
        gone = [_text(entry) for entry in before if entry not in after]
        come = [_text(entry) for entry in after if entry not in before]
        return {"field": name, "removed": gone, "added": come}
    return {"field": name, "before": _text(before), "after": _text(after)}


def _text(value: Any) -> str:
    if value is None or value == "" or value == []:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_text(entry) for entry in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(part)}" for key, part in value.items())
    return _time_text(str(value))


def _time_text(text: str) -> str:
    """A moment in the workspace's time zone; any other text as it is."""
    if not AS_ISO.fullmatch(text):
        return text
    return date_format(timezone.localtime(datetime.fromisoformat(text)), "j M Y, H:i:s")


def shown(entry: AuditEntry, who: Any = None) -> dict[str, Any]:
    """What accounts/_audit_entries.html shows of an entry to `who`."""
    seen = masking.shown(entry, who)
    return {
        "entry": entry,
        "label": seen.label,
        "what": action_in_words(entry.action),
        "changes": changes(entry, sees_subjects=not seen.masked),
        "reason": seen.reason,
        "origin": seen.origin,
        "erased": entry.detail is None,
        "masked": seen.masked,
        "href": "" if seen.masked else object_url(entry),
    }


def object_url(entry: AuditEntry) -> str:
    try:
        return reverse(f"admin:{entry.object_type.replace('.', '_')}_change", args=[entry.object_id])
    except NoReverseMatch:
        return ""


SHOWN = frozenset(in_words(name) for name in masking.SHOWN)


@admin.register(AuditEntry)
class AuditEntryAdmin(ConsoleAdmin):
    list_display = ("when", "who", "what", "about", "differs")
    list_display_links = ("when", "what")
    list_filter = (
        ("at", RangeDateTimeFilter),
        ("action", AllValuesCheckboxFilter),
        ("object_type", AllValuesCheckboxFilter),
    )
    list_filter_submit = True
    search_fields = ("actor_label", "shown_label", "action")
    search_help_text = "Who, what, or the name of what it is about"
    ordering = ("-sequence",)
    counted = ("entry", "entries")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """With what each is about, as this person may read it: a name that is dots is not found by a search either."""
        sees, label = masking.may_see_subjects(request.user), F("object_label")
        dots = Case(When(object_type__in=masking.ABOUT_PEOPLE, then=Value("")), default=label)
        rows: QuerySet[AuditEntry] = super().get_queryset(request)
        return rows.annotate(shown_label=label if sees else dots, sees_subjects=Value(sees))

    @display(description="When", ordering="sequence")
    def when(self, entry: AuditEntry) -> str:
        return time_cell(entry.at)

    @display(description="Who", ordering="actor_label")
    def who(self, entry: AuditEntry) -> str:
        return entry.actor_label

    @display(description="What", ordering="action")
    def what(self, entry: AuditEntry) -> str:
        return action_in_words(entry.action)

    @display(description="About", ordering="shown_label")
    def about(self, entry: Any) -> SafeString | str:
        if masking.is_about_people(entry) and not entry.sees_subjects:
            return masking.masked_label(entry)
        href = object_url(entry)
        label = with_numbers_written(entry.object_label)
        return format_html('<a class="fc-link" href="{}">{}</a>', href, label) if href else label

    @display(description="Changes")
    def differs(self, entry: Any) -> str:
        names = [change["field"] for change in changes(entry, sees_subjects=entry.sees_subjects)]
        return ", ".join(names[:3]) + (" …" if len(names) > 3 else "") if names else "—"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        entry = self.found(request, object_id)
        seen = shown(entry, request.user)
        entry.object_label = seen["label"]  # of what the frame calls the page by; nothing is saved
        context = {"original": entry, "title": str(entry), "shown": seen}
        return self.page(request, "accounts/audit_entry.html", context)
