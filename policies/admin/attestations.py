"""What people saw in UponAI's dashboard: beside a public key, above the list of keys, and on the settings page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince
from unfold.decorators import display

from accounts.admin.base import ConsoleAdmin, acting, is_htmx
from accounts.admin.display import time_cell
from accounts.components import Action, Sentence
from accounts.models import PublicKey
from policies import attestations
from policies.attestations import Standing
from policies.models import Attestation, ManagedRecord
from policies.rules_input import Refused
from policies.sync import management
from policies.uponai import management as assumed_api

MOST_SHOWN = 20


@admin.register(Attestation)
class AttestationAdmin(ConsoleAdmin):
    """The list is the history; looks are noted where they are about something."""

    empty_words = {
        "icon": "visibility",
        "title": "Nobody has looked yet",
        "text": "What people saw in UponAI's dashboard would be here. Note it on the page of a public key.",
    }
    list_display = ("what", "found", "checked_label", "looked", "again", "note")
    list_display_links = None
    list_filter = ("topic", "seen")
    ordering = ("-checked_at", "-pk")
    list_select_related = ("public_key",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="What")
    def what(self, row: Attestation) -> str:
        return f"{row.public_key}: {row.get_topic_display()}" if row.public_key else row.get_topic_display()

    @display(description="What was seen")
    def found(self, row: Attestation) -> str:
        return dict(attestations.answers(Attestation.Topic(row.topic)))[row.seen]

    @display(description="When")
    def looked(self, row: Attestation) -> str:
        return time_cell(row.checked_at)

    @display(description="Look again by")
    def again(self, row: Attestation) -> str:
        return time_cell(row.due_at)

    # --- Panels on other pages ----------------------------------------------------------------------

    def own_urls(self) -> list[Any]:
        return [
            ("of-keys/", "keys_panel", self.keys_panel_view),
            ("of-key/<int:object_id>/", "key_panel", self.key_panel_view),
            ("of-account/", "account_panel", self.account_panel_view),
        ]

    def keys_panel_view(self, request: HttpRequest) -> HttpResponse:
        """Above the list of keys: what is to be looked at again."""
        self._require_view(request)
        now = timezone.now()
        standings = attestations.of_keys(PublicKey.objects.order_by("name"))
        context = {"sentence": _of_all(standings, now)} if standings else {}
        return TemplateResponse(request, "policies/_seen_of_keys.html", context)

    def key_panel_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        self._require_view(request)
        key = PublicKey.objects.filter(pk=object_id, kind=PublicKey.Kind.UPONAI).first()
        if key is None:
            raise Http404("There is no such key of UponAI's own in this workspace.")
        told = self._looked(request, public_key=key) if request.method == "POST" else {}
        if request.method == "POST" and not is_htmx(request):
            return self._back(request, told, reverse("admin:accounts_publickey_change", args=[key.pk]))
        record = management.of_key(key)
        context = {
            "title": "In UponAI's dashboard",
            "standings": self._shown(attestations.of_key(key), record),
            "post_url": reverse("admin:policies_attestation_key_panel", args=[key.pk]),
            "assumed": managed(record, timezone.now()),
        }
        return self._panel(request, context | told)

    def account_panel_view(self, request: HttpRequest) -> HttpResponse:
        self._require_view(request)
        told = self._looked(request) if request.method == "POST" else {}
        if request.method == "POST" and not is_htmx(request):
            return self._back(request, told, reverse("admin:accounts_workspace_changelist"))
        context = {
            "title": "The account at UponAI",
            "standings": self._shown([attestations.of_account()]),
            "post_url": reverse("admin:policies_attestation_account_panel"),
        }
        return self._panel(request, context | told)

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _looked(self, request: HttpRequest, **about: Any) -> dict[str, Any]:
        """Notes every topic that was answered, or none of them."""
        if not request.user.has_perm("policies.change_attestation"):
            raise PermissionDenied
        answered = _answered(request.POST)
        if not answered:
            return {"told": "Say what you saw of at least one of them.", "told_tone": "warning"}
        more = {"note": request.POST.get("note", ""), "link": request.POST.get("link", "")}
        try:
            with transaction.atomic():
                for topic, seen in answered.items():
                    attestations.attest(
                        workspace_id=request.workspace.pk,  # type: ignore[attr-defined]
                        topic=topic,
                        seen=seen,
                        **more,
                        **about,
                        **acting(request),
                    )
        except Refused as refusal:
            return {"told": f"Nothing was noted. {refusal}", "told_tone": "warning", "posted": more}
        return {"told": "Noted, with your name and the time.", "told_tone": "quiet"}

    def _back(self, request: HttpRequest, told: Mapping[str, Any], address: str) -> HttpResponse:
        level = messages.SUCCESS if told["told_tone"] == "quiet" else messages.ERROR
        messages.add_message(request, level, told["told"])
        return redirect(address)

    def _shown(self, standings: Sequence[Standing], record: ManagedRecord | None = None) -> list[dict[str, Any]]:
        now = timezone.now()
        return [
            {
                "topic": standing.topic.value,
                "label": standing.topic.label,
                "text": attestations.in_words(standing),
                "newest": standing.newest,
                "contradiction": _contradiction(standing, record),
                "is_due": standing.is_due(now),
                "answers": attestations.answers(standing.topic),
            }
            for standing in standings
        ]

    def _panel(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        may_attest = request.user.has_perm("policies.change_attestation")
        frame = {"may_attest": may_attest, "dashboard": settings.UPONAI_DASHBOARD_URL}
        return TemplateResponse(request, "policies/_seen_there.html", frame | context)


def _contradiction(standing: Standing, record: ManagedRecord | None) -> str:
    """Where a person saw something else than the assumed API shows: one of the two is wrong, and nobody can tell."""
    shown = record.applied.get(standing.topic.value) if record and record.applied else None
    if standing.newest is None or not isinstance(shown, bool) or standing.newest.seen == ("on" if shown else "off"):
        return ""
    return f"{assumed_api.called()} shows it {'on' if shown else 'off'}: look again, and set it there as it should be."


def managed(record: ManagedRecord | None, now: datetime) -> Sentence | None:
    """What the assumed API shows, under its own name: read back, but not from UponAI itself."""
    if record is None:
        return None
    who = assumed_api.called()
    checked = f"checked {_ago(record.applied_at, now)}" if record.applied_at else "not seen there yet"
    if record.error:
        again = "It is tried again by itself."
        return Sentence("warning", f"{who} does not have the same yet: {record.error}", f"Last {checked}. {again}")
    if record.applied == record.wanted and record.applied_at:
        return Sentence("quiet", f"{who} has the same, {checked}.", "Read back from there: not what a person saw.")
    return Sentence("notice", f"{who} is being told, {checked}.")


def _of_all(standings: Sequence[Standing], now: datetime) -> Sentence:
    due = [standing for standing in standings if standing.is_due(now)]
    keys = {standing.public_key.pk: standing.public_key for standing in due if standing.public_key}
    if not due:
        first = min(standing.newest.due_at for standing in standings if standing.newest)
        day = timezone.localtime(first)
        text = f"People looked up UponAI's own keys in its dashboard; the next look is due by {day:%-d %b}."
        return Sentence("quiet", text, "What they saw is on each key's page. It is not measured.")
    names = ", ".join(key.name for key in list(keys.values())[:3]) + (" …" if len(keys) > 3 else "")
    text = f"Somebody should look into UponAI's dashboard: {names}."
    detail = "; ".join(attestations.in_words(standing) for standing in due[:MOST_SHOWN] if len(keys) == 1)
    actions = tuple(
        Action(f"Open {key.name}", reverse("admin:accounts_publickey_change", args=[key.pk]))
        for key in list(keys.values())[:3]
    )
    return Sentence("notice", text, detail or "No API tells what is set there, so people have to look.", actions)


def _answered(posted: Mapping[str, str]) -> dict[str, str]:
    given = {topic.value: posted.get(f"seen_{topic.value}", "") for topic in Attestation.Topic}
    return {topic: seen for topic, seen in given.items() if seen}


def _ago(at: datetime, now: datetime) -> str:
    return f"{timesince(at, now, depth=1)} ago" if (now - at).total_seconds() >= 60 else "just now"
