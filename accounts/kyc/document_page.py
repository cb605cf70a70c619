"""Where a reviewer's browser gets one page of a document: for a minute, in one session, and it is written down."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.contrib import admin
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.encryption import CannotOpen
from accounts.kyc import documents, privacy, storage
from accounts.models import KycDocument

LASTS: Final = timedelta(seconds=60)
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def address_of(request: HttpRequest, document: KycDocument, page: int, *, now: datetime | None = None) -> str:
    """Where this session, and no other, may look at a page within the next minute."""
    ends = int(((now or timezone.now()) + LASTS).timestamp())
    content = {"d": str(document.pk), "p": page, "w": document.workspace_id, "e": ends}
    return reverse("kyc_document", args=[_signer(request).sign_object(content)])


def show(request: HttpRequest, ticket: str) -> HttpResponse:
    """The page as an image, for who may see documents in this workspace."""
    return admin.site.admin_view(_show)(request, ticket)  # type: ignore[no-any-return]


@require_GET
def _show(request: HttpRequest, ticket: str) -> HttpResponse:
    workspace = getattr(request, "workspace", None)
    if workspace is None or not privacy.may_see_documents(request.user):
        raise PermissionDenied("Your role here does not look at documents.")
    now = timezone.now()
    try:
        content = _signer(request).unsign_object(ticket)
    except (signing.BadSignature, ValueError):
        return _over()
    if now.timestamp() >= content["e"] or content["w"] != workspace.pk:
        return _over()
    document = KycDocument.objects.select_related("record__subject").filter(pk=content["d"]).first()
    if document is None:
        return _gone()
    try:
        jpeg = documents.view(document=document, page=content["p"], acting_user=request.user, now=now)  # type: ignore[arg-type]
    except (storage.Gone, CannotOpen):
        return _gone()
    answer = HttpResponse(jpeg, content_type="image/jpeg", headers=HEADERS)
    answer.headers["Content-Disposition"] = f'inline; filename="document-{content["p"]}.jpg"'
    return answer


def _signer(request: HttpRequest) -> signing.Signer:
    """Another session has another key, so a copied address opens nothing there."""
    return signing.Signer(salt=f"page of a KYC document for session {request.session.session_key}")


def _over() -> HttpResponse:
    words = "This address was for one minute, in one session. Open the case again."
    return HttpResponse(words, status=403, content_type="text/plain; charset=utf-8", headers=HEADERS)


def _gone() -> HttpResponse:
    words = "This document is no longer there."
    return HttpResponse(words, status=404, content_type="text/plain; charset=utf-8", headers=HEADERS)
