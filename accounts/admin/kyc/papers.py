"""What reviewers do with the papers of a case by hand: add one, note its number, take the subject's link back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from accounts.admin.base import acting
from accounts.kyc import documents, links, privacy
from accounts.kyc.transitions import Conflict, NotEntitled
from accounts.kyc.upload_page import MOST_BODY_BYTES, InMemory
from accounts.models import KycDocument, KycRecord, UploadLink

REFUSALS = (Conflict, NotEntitled, ValidationError)
LONGEST_NUMBER = 80
KINDS = [(kind.value, kind.label) for kind in KycDocument.Kind]


def said(refusal: Exception) -> str:
    return " ".join(refusal.messages) if isinstance(refusal, ValidationError) else str(refusal)


class PaperViews:
    """Mixed into the pages of KYC records."""

    def paper_urls(self, one: str) -> list[Any]:
        return [
            (one + "revoke-links/", "revoke_links", self.revoke_links_view),
            (one + "documents/add/", "document_add", self.document_add_view),
            (one + "documents/<uuid:document_id>/number/", "document_number", self.document_number_view),
        ]

    def revoke_links_view(self: Any, request: HttpRequest, object_id: int) -> HttpResponse:
        """Every link of the case that still opens it."""
        record = self.found_to_change(request, object_id)
        count = 0
        for link in open_links(record):
            links.revoke_link(link=link, **acting(request))
            count += 1
        messages.success(request, f"{count} taken back; whoever opens one now is told that it does not work.")
        return redirect(self.change_url(record))

    @csrf_exempt  # and protected below: until then, a file would be written to the disk in the open
    def document_add_view(self: Any, request: HttpRequest, object_id: int) -> HttpResponse:
        """One file that came by another way than the link."""
        length = request.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and int(length) <= MOST_BODY_BYTES):
            raise PermissionDenied
        request.upload_handlers = [InMemory(request)]
        answer: HttpResponse = csrf_protect(self._document_added)(request, object_id)
        return answer

    def _document_added(self: Any, request: HttpRequest, object_id: int) -> HttpResponse:
        record = self.found_to_change(request, object_id)
        if not privacy.may_see_documents(request.user):
            raise PermissionDenied
        try:
            self._add(request, record)
        except REFUSALS as refusal:
            messages.warning(request, said(refusal))
        return redirect(self.change_url(record))

    def _add(self, request: HttpRequest, record: KycRecord) -> None:
        file = request.FILES.get("file")
        if file is None:
            raise ValidationError("Choose a file first.")
        row = documents.accept(
            record=record,
            content=file.read(),
            name=file.name or "file",
            kind=request.POST.get("kind", ""),
            side=request.POST.get("side", ""),
            **acting(request),
        )
        messages.success(request, f"{row.get_kind_display()} added: {row.name}.")

    def document_number_view(self: Any, request: HttpRequest, object_id: int, document_id: Any) -> HttpResponse:
        """A number as somebody reads it off a paper that has no machine-readable lines."""
        record = self.found_to_change(request, object_id)
        document = get_object_or_404(KycDocument, pk=document_id, record=record, state=KycDocument.State.CLEAN)
        if not privacy.may_see_documents(request.user):
            raise PermissionDenied
        try:
            number = request.POST.get("number", "")[:LONGEST_NUMBER]
            documents.note_number(document=document, number=number, **acting(request))
        except REFUSALS as refusal:
            messages.warning(request, said(refusal))
        return redirect(f"{self.change_url(record)}#document-{document.pk}")


def open_links(record: KycRecord) -> list[UploadLink]:
    return list(UploadLink.objects.filter(record=record, revoked_at=None, used_at=None).order_by("pk"))
