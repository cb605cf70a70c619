"""The list of digests and the page of one, which says what was mailed and prints well. Read only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display

from accounts.admin.base import ConsoleAdmin
from accounts.admin.display import badge, time_cell
from accounts.components import Sentence
from accounts.models.people import DigestPeriod
from monitoring import digest_words
from monitoring.models import Digest

_OFTEN = {DigestPeriod.DAILY.value: "every morning at seven", DigestPeriod.WEEKLY.value: "on Mondays at seven"}


@admin.register(Digest)
class DigestAdmin(ConsoleAdmin):
    list_display = ("thing", "often", "sentence", "mailed")
    list_display_links = ("thing",)
    ordering = ("-start", "-pk")
    sortable_by = ()
    list_before_template = "policies/exception_list_before.html"
    empty_words = {
        "icon": "summarize",
        "title": "No digest was written yet",
        "text": "What happened in a day or a week would be here and in the mail; the settings say how often.",
    }

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        workspace = request.workspace  # type: ignore[attr-defined]
        often = _OFTEN.get(workspace.digest_period)
        said = f"A digest is written and mailed {often}, {workspace.time_zone}." if often else "No digest is written."
        sentence = Sentence("quiet", said, "Owners and policy editors get it. The settings say how often.")
        context = {"title": "Digests", "sentences": [sentence]}
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        row = self.found(request, object_id)
        said = digest_words.said(row)
        tone = "notice" if row.content["review"] else "quiet"
        context = {
            "title": said.title,
            "digest": said,
            "row": row,
            "sentence": Sentence(tone, said.sentence, said.title),
        }
        return self.page(request, "monitoring/digest.html", context)

    @display(description="Period")
    def thing(self, row: Digest) -> str:
        return digest_words.title(row)

    @display(description="How often")
    def often(self, row: Digest) -> str:
        return DigestPeriod(row.period).label if row.period in DigestPeriod.values else row.period

    @display(description="In short")
    def sentence(self, row: Digest) -> str:
        return digest_words.sentence(row)

    @display(description="Mailed")
    def mailed(self, row: Digest) -> str:
        if row.mailed_at:
            return time_cell(row.mailed_at)
        return badge("Failing" if row.mail_due_at else "Not mailed", "failed", row.error) if row.error else "soon"
