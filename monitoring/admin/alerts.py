"""The list of alerts: above it those that are open, each with "I know", and the page of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.timesince import timesince
from unfold.contrib.filters.admin import ChoicesRadioFilter, DropdownFilter
from unfold.decorators import display

from accounts.admin.base import ConsoleAdmin, acting
from accounts.admin.display import badge, time_cell
from accounts.components import Action, Sentence
from monitoring import alerts
from monitoring.models import Alert

MOST_SHOWN: Final = 10
LONGEST_LINE: Final = 64
"""What a narrow screen shows in two lines; the page of the alert has the rest."""


class LastingFilter(DropdownFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("lasting", "Lasting"), ("over", "Over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "open":
            return alerts.only_open(queryset)
        if self.value() in ("lasting", "over"):
            return queryset.filter(resolved_at__isnull=self.value() == "lasting")
        return queryset


@admin.register(Alert)
class AlertAdmin(ConsoleAdmin):
    list_display = ("thing", "line", "state", "since", "over", "known")
    list_display_links = ("thing",)
    list_filter = (LastingFilter, ("kind", ChoicesRadioFilter))
    search_fields = ("sentence", "about")
    search_help_text = "Words of the alert"
    # Those that last first, of them the gravest; among the others the newest.
    ordering = (F("resolved_at").desc(nulls_first=True), alerts.by_gravity(), "-raised_at", "-pk")
    sortable_by = ()
    list_before_template = "policies/exception_list_before.html"
    empty_words = {
        "icon": "notifications_none",
        "title": "There was no alert yet",
        "text": "What somebody should know at once would be here, and in the mail of owners and policy editors.",
    }

    def has_add_permission(self, request: HttpRequest) -> bool:
        """They are raised because something is so."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": "Alerts", "sentences": self._above(request)}
        return super().changelist_view(request, context | (extra_context or {}))

    def _above(self, request: HttpRequest) -> list[Sentence]:
        rows = alerts.only_open(Alert.objects.all())
        rows = list(rows.order_by(alerts.by_gravity(), "-raised_at", "-pk")[: MOST_SHOWN + 1])
        shown = [self._sentence(row, request) for row in rows[:MOST_SHOWN]]
        if not rows:
            lasting = Alert.objects.filter(resolved_at=None).count()
            said = f"{lasting} last{'s' * (lasting == 1)}, and somebody knows." if lasting else ""
            return [Sentence("quiet", "No alert is open.", said)]
        if len(rows) > MOST_SHOWN:
            shown.append(Sentence("notice", f"And {alerts.open_count() - MOST_SHOWN} more, in the list below."))
        return shown

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        row = self.found(request, object_id)
        context = {"title": row.get_kind_display(), "alert": row, "sentence": self._sentence(row, request)}
        return self.page(request, "monitoring/alert.html", context)

    def own_urls(self) -> list[tuple[str, str, Callable[..., HttpResponse]]]:
        return [("<int:object_id>/seen/", "seen", self.seen_view)]

    def seen_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        row = self.found_to_change(request, object_id)
        alerts.mark_seen(alert=row, **acting(request))
        messages.success(request, "Noted, with your name and the time.")
        return redirect("admin:monitoring_alert_changelist")

    def _sentence(self, row: Alert, request: HttpRequest) -> Sentence:
        now = timezone.now()
        since = f"Since {timezone.localtime(row.raised_at):%-d %b %H:%M}, {_ago(row.raised_at, now)}."
        if row.resolved_at:
            return Sentence("quiet", row.sentence, f"It is over. {since}", _look(row))
        if row.seen_at:
            return Sentence("notice", row.sentence, f"{since} {row.seen_by} knows.", _look(row))
        know = Action("I know", reverse("admin:monitoring_alert_seen", args=[row.pk]), post=True)
        may = self.has_change_permission(request)
        return Sentence(_tone(row), row.sentence, since, (*_look(row), know) if may else _look(row))

    # --- The list -----------------------------------------------------------------------------------

    @display(description="What")
    def thing(self, row: Alert) -> str:
        return row.get_kind_display()

    @display(description="In short")
    def line(self, row: Alert) -> str:
        return Truncator(row.sentence).chars(LONGEST_LINE)

    @display(description="State")
    def state(self, row: Alert) -> str:
        if row.resolved_at:
            return badge("Over", "synced")
        return badge("Known", "pending", f"{row.seen_by} knows.") if row.seen_at else badge("Open", "failed")

    @display(description="Since")
    def since(self, row: Alert) -> str:
        return time_cell(row.raised_at)

    @display(description="Over")
    def over(self, row: Alert) -> str:
        return time_cell(row.resolved_at) if row.resolved_at else "lasts"

    @display(description="Known to")
    def known(self, row: Alert) -> str:
        return row.seen_by or "nobody yet"


def _look(row: Alert) -> tuple[Action, ...]:
    return (Action("Look", row.path, "primary"),) if row.path else ()


def _tone(row: Alert) -> str:
    return "danger" if row.kind in alerts.GRAVE else "notice" if row.kind in alerts.MINOR else "warning"


def _ago(at: Any, now: Any) -> str:
    return f"{timesince(at, now, depth=1)} ago" if (now - at).total_seconds() >= 60 else "just now"
