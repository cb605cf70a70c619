"""The pages of KYC records: the queue, a case with its decisions, and the form of what was declared."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelect2MultipleWidget

from accounts.admin.base import ConsoleAdmin, VerbForm, acting, is_htmx
from accounts.admin.display import CountriesField
from accounts.admin.kyc import case, decisions, pieces, queue
from accounts.admin.kyc.decisions import Viewer
from accounts.admin.kyc.papers import KINDS, REFUSALS, PaperViews, open_links
from accounts.admin.kyc.papers import said as _said
from accounts.admin.kyc.unlocks import CHANNELS
from accounts.kyc import claims, document_page, documents, links, people, privacy, records, review
from accounts.kyc.states import State
from accounts.kyc.transitions import Conflict
from accounts.models import KycDocument, KycRecord, Subject, User

MOST_ASSIGNED = queue.PER_PAGE
LONGEST_LINES = 400
KEPT = ("reason_codes", "text_for_subject", "text_for_colleagues", "override_reason", "rejection")


class KycRecordForm(VerbForm):
    declared_countries = CountriesField(
        required=False, help_text="Where this subject says they will call; the gate compares."
    )

    declared_channels = forms.MultipleChoiceField(
        required=False,
        choices=[(code, words[:1].upper() + words[1:]) for code, words in CHANNELS.items()],
        widget=UnfoldAdminSelect2MultipleWidget(),
        help_text="None for every channel.",
    )

    class Meta:
        model = KycRecord
        fields = ("subject", *records.RECORD_FIELDS)


@admin.register(KycRecord)
class KycRecordAdmin(PaperViews, ConsoleAdmin):
    form = KycRecordForm
    refusals = REFUSALS
    list_select_related = ("subject",)
    search_fields = ("subject__name", "subject__reference")
    autocomplete_fields = ("subject",)
    fieldsets = (
        (None, {"fields": (("subject", "level"),)}),
        (
            "Declared",
            {"fields": ("declared_countries", "declared_channels", "declared_calls_per_day", "declared_purpose")},
        ),
        ("For colleagues", {"fields": ("note_for_colleagues",)}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("subject",) if obj else ()

    def own_urls(self) -> list[Any]:
        one = "<int:object_id>/"
        return [
            ("next/", "next", self.next_view),
            ("assign/", "assign", self.assign_view),
            (one + "edit/", "edit", self.edit_view),
            (one + "decide/", "decide", self.decide_view),
            (one + "claim/", "claim", self.claim_view),
            (one + "renew/", "renew", self.renew_view),
            (one + "release/", "release", self.release_view),
            (one + "hand-over/", "hand_over", self.hand_over_view),
            (one + "tick/", "tick", self.tick_view),
            (one + "upload-link/", "upload_link", self.upload_link_view),
            (one + "documents/<uuid:document_id>/<int:page>/", "document_page", self.document_page_view),
            (one + "documents/<uuid:document_id>/lines/", "document_lines", self.document_lines_view),
            *self.paper_urls(one),
        ]

    # --- The queue ----------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        viewer, now = Viewer.of(request.user), timezone.now()  # type: ignore[arg-type]
        asked = queue.Asked.by(request.GET, viewer.actor)
        context = {
            "title": "KYC records",
            "asked": asked,
            "head": queue.head(now),
            "clear_href": asked.href(state="", level="", q="", subject="", view=""),
            "back": request.GET.urlencode(),
            "tabs": queue.tabs(asked),
            "page": queue.page(asked, now),
            "states": State.choices,
            "levels": KycRecord.Level.choices,
            "may_review": viewer.may_review,
            "may_add": self.has_add_permission(request),
            "subject": Subject.objects.filter(pk=asked.subject).first() if asked.subject.isdecimal() else None,
            "colleagues": case.reviewers() if viewer.may_review else [],
            "first_time": not KycRecord.objects.exists(),
        }
        return self.page(request, "accounts/kyc/queue.html", context)

    def next_view(self, request: HttpRequest) -> HttpResponse:
        """Takes the one most due and opens it."""
        self._require_post(request)
        workspace = request.workspace  # type: ignore[attr-defined]
        try:
            record = claims.claim_next(workspace=workspace, **acting(request))
        except REFUSALS as refusal:
            messages.warning(request, _said(refusal))
            record = None
        else:
            if record is None:
                messages.info(request, "Nothing waits that you may take: what is left is held by others, or was yours.")
        return redirect(self.change_url(record) if record else "admin:accounts_kycrecord_changelist")

    def assign_view(self, request: HttpRequest) -> HttpResponse:
        """Says of the ticked cases who is to take them."""
        self._require_post(request)
        chosen = [int(text) for text in request.POST.getlist("record")[:MOST_ASSIGNED] if _is_number(text)]
        to = self._colleague(request)
        try:
            if not chosen:
                raise ValidationError("Tick the cases first.")
            if to is None and request.POST.get("to") != "nobody":
                raise ValidationError("Choose who is to take them.")
            workspace = request.workspace  # type: ignore[attr-defined]
            count = claims.bulk_assign(workspace=workspace, record_ids=chosen, to=to, **acting(request))
        except REFUSALS as refusal:
            messages.warning(request, _said(refusal))
        else:
            whose = f"{to} is to take" if to else "Nobody in particular is to take"
            messages.success(request, f"{whose} {count} of {len(chosen)}. The others were not waiting, or were theirs.")
        asked = queue.Asked.by(QueryDict(request.POST.get("back", "")[:1000]), "")
        return redirect(asked.href())

    # --- The case -----------------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if object_id is None:
            return super().changeform_view(request, None, form_url, extra_context)
        if request.method == "POST":
            raise Http404("A case is decided by the buttons of its page.")
        return self._case(request, self._loaded(request, object_id))

    def _case(self, request: HttpRequest, record: KycRecord, outcome: dict[str, Any] | None = None) -> TemplateResponse:
        context = self._body(request, record) | {
            "title": record.subject.name,
            "original": record,
            "outcome": outcome or {},
        }
        return self.page(request, "accounts/kyc/case.html", context)

    def _body(self, request: HttpRequest, record: KycRecord) -> dict[str, Any]:
        viewer, now = Viewer.of(request.user), timezone.now()  # type: ignore[arg-type]
        body = case.body(record, viewer, now, who=request.user)  # type: ignore[arg-type]
        return body | {
            "may_review": viewer.may_review,
            "claim_words": decisions.claim_words(record),
            "may_claim": decisions.may_claim(record, viewer, now),
            "may_release": record.claimed_by == viewer.actor,
            "document_kinds": KINDS,
            "open_links": len(open_links(record)) if viewer.may_review else 0,
            "may_link": viewer.may_review and record.state in (State.DRAFT, State.NEEDS_INFORMATION),
        }

    def _loaded(self, request: HttpRequest, object_id: Any) -> KycRecord:
        record = case.loaded(self.found(request, object_id).pk)
        if record is None:
            raise Http404("This record was removed a moment ago.")
        return record

    def _loaded_to_change(self, request: HttpRequest, object_id: Any) -> KycRecord:
        return self._loaded(request, self.found_to_change(request, object_id).pk)

    def _require_post(self, request: HttpRequest) -> None:
        if request.method != "POST" or not self.has_change_permission(request):
            raise PermissionDenied

    def decide_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """A move with its form. What was typed is shown again with the refusal."""
        record = self._loaded_to_change(request, object_id)
        verb = request.POST.get("verb", "")
        try:
            moved = decisions.carry_out(record, verb, request.POST, acting(request))
        except KeyError:
            raise Http404("There is no such decision.") from None
        except REFUSALS as refusal:
            return self._refused(request, record.pk, verb, refusal)
        messages.success(request, f"{moved.subject.name}: {moved.get_state_display().lower()}.")
        return redirect(self.change_url(moved))

    def _refused(self, request: HttpRequest, pk: int, verb: str, refusal: Exception) -> HttpResponse:
        record = self._loaded(request, pk)
        outcome = {
            "verb": verb,
            "text": _said(refusal),
            "changed": pieces.changed_since(request.POST.get("seen_pieces", "")[:20_000], record),
            "typed": {name: request.POST.get(name, "") for name in KEPT},
            "chosen": request.POST.getlist("reason_codes"),
        }
        return self._case(request, record, outcome)

    def claim_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self._done(request, object_id, lambda record: claims.claim(record=record, **acting(request)))

    def renew_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Keeps a claim while somebody works; asked for by the page itself, which shows what is refused."""
        record = self._loaded_to_change(request, object_id)
        try:
            if record.claimed_by != people.identity(request.user):  # type: ignore[arg-type]
                raise Conflict("This case is not yours any more. Reload the page to see who has it.")
            claims.claim(record=record, **acting(request))
        except REFUSALS as refusal:
            return HttpResponse(_said(refusal), content_type="text/plain; charset=utf-8")
        return HttpResponse(status=204)

    def release_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self._done(request, object_id, lambda record: claims.release(record=record, **acting(request)))

    def hand_over_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        def hand_over(record: KycRecord) -> KycRecord:
            to = self._colleague(request)
            if to is None:
                raise ValidationError("Choose whom to hand it over to.")
            text = request.POST.get("text_for_colleagues", "")
            return claims.hand_over(record=record, to=to, text_for_colleagues=text, **acting(request))

        return self._done(request, object_id, hand_over)

    def _done(self, request: HttpRequest, object_id: int, verb: Any) -> HttpResponse:
        record = self._loaded_to_change(request, object_id)
        try:
            verb(record)
        except REFUSALS as refusal:
            messages.warning(request, _said(refusal))
        return redirect(self.change_url(record))

    def _colleague(self, request: HttpRequest) -> User | None:
        to = request.POST.get("to", "")
        return next((user for user in case.reviewers() if str(user.pk) == to), None)

    def tick_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """One item of the checklist. Answers the checklist with what is open, in place."""
        record = self._loaded_to_change(request, object_id)
        trouble = ""
        try:
            item, done = request.POST.get("item", ""), request.POST.get("done") == "yes"
            review.tick(record=record, item=item, done=done, **acting(request))
        except REFUSALS as refusal:
            trouble = _said(refusal)
        if not is_htmx(request):
            if trouble:
                messages.warning(request, trouble)
            return redirect(self.change_url(record))
        context = self._body(request, self._loaded(request, record.pk)) | {"tick_trouble": trouble, "fragment": True}
        return TemplateResponse(request, "accounts/kyc/_checklist.html", context)

    def upload_link_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """A link for the subject, which is shown once."""
        record = self._loaded_to_change(request, object_id)
        try:
            _, token = links.create_link(record=record, **acting(request))
        except REFUSALS as refusal:
            messages.warning(request, _said(refusal))
            return redirect(self.change_url(record))
        address = request.build_absolute_uri(reverse("kyc_upload", args=[token]))
        return self._case(request, self._loaded(request, record.pk), {"upload_link": address})

    def document_page_view(self, request: HttpRequest, object_id: int, document_id: Any, page: int) -> HttpResponse:
        """Sends the browser to an address of the next minute: this one is in the page for as long as it is open."""
        record = self.found(request, object_id)
        document = get_object_or_404(KycDocument, pk=document_id, record=record, state=KycDocument.State.CLEAN)
        if not 1 <= page <= document.pages:
            raise Http404("This document has no such page.")
        if not privacy.may_see_documents(request.user):
            raise PermissionDenied
        return redirect(document_page.address_of(request, document, page))

    def document_lines_view(self, request: HttpRequest, object_id: int, document_id: Any) -> HttpResponse:
        """Machine-readable lines as somebody typed them in from what they see."""
        record = self.found_to_change(request, object_id)
        document = get_object_or_404(KycDocument, pk=document_id, record=record, state=KycDocument.State.CLEAN)
        if not privacy.may_see_documents(request.user):
            raise PermissionDenied
        try:
            text = request.POST.get("lines", "").strip()[:LONGEST_LINES]
            if not text:
                raise ValidationError("Type the lines first, as they stand at the foot of the document.")
            documents.read_lines(document=document, text=text, **acting(request))
        except REFUSALS as refusal:
            messages.warning(request, _said(refusal))
        return redirect(f"{self.change_url(record)}#document-{document.pk}")

    # --- What was declared --------------------------------------------------------------------------

    def edit_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """The form of the facts; a proposal that rested on them is cancelled by the verb."""
        return super().changeform_view(request, str(object_id), "", {"title": "What was declared"})  # type: ignore[no-any-return]

    def response_change(self, request: HttpRequest, obj: KycRecord) -> HttpResponse:
        messages.success(request, "What was declared is saved.")
        return redirect(self.change_url(obj))

    def response_add(self, request: HttpRequest, obj: KycRecord, post_url_continue: str | None = None) -> HttpResponse:
        return redirect(self.change_url(obj))

    def problems_of(self, refusal: Any) -> Any:
        if isinstance(refusal, ValidationError):
            return super().problems_of(refusal)
        return {forms.forms.NON_FIELD_ERRORS: [str(refusal)]}

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> KycRecord:
        facts = {name: form.cleaned_data[name] for name in records.RECORD_FIELDS if name in form.cleaned_data}
        if creating:
            workspace = request.workspace  # type: ignore[attr-defined]
            subject = form.cleaned_data["subject"]
            return records.create_kyc_record(workspace=workspace, subject=subject, **facts, **acting(request))
        return records.edit_kyc_record(record=KycRecord.objects.get(pk=row.pk), **facts, **acting(request))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19
