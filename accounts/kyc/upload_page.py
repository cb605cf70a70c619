"""The public page behind an upload link: no account, no cookie, one form that works without scripts and on a phone."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts.addresses import client_address
from accounts.kyc import documents, links
from accounts.kyc.links import NoSuchLink, Outcome, Sent, TooOften
from accounts.kyc.rendering import MEDIA_TYPES, MOST_BYTES
from accounts.models import KycDocument, UploadLink
from accounts.scoping import scoped

Kind = KycDocument.Kind
MOST_FILES: Final = 12
MOST_BODY_BYTES: Final = 64 * 1024 * 1024
OTHER: Final = "other"
NO_FILE: Final = "No file was chosen. Choose a photo or a PDF, then press Send."
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
}


class InMemory(FileUploadHandler):
    """Keeps files in memory: Django would write what is large to the disk in the open.

    Of what is too large, just enough is kept to see that it is.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.parts: list[bytes] = []
        self.kept = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        room = MOST_BYTES + 1 - self.kept
        if room > 0:
            self.parts.append(raw_data[:room])
            self.kept += len(self.parts[-1])

    def file_complete(self, file_size: int) -> InMemoryUploadedFile:
        content = BytesIO(b"".join(self.parts))
        return InMemoryUploadedFile(
            content, self.field_name, self.file_name or "file", self.content_type, self.kept, self.charset
        )


# Whoever has the token may send; a cookie would add nothing, and phones that keep none would be shut out.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest, token: str) -> HttpResponse:
    try:
        links.count_request(client_address(request))
        if request.method == "POST":
            return _dressed(_post(request, token))
        return _dressed(_page(request, links.find(token, now=timezone.now())))
    except TooOften:
        return _dressed(_words(request, "Too many requests", "Wait a minute, then open the link again.", status=429))
    except NoSuchLink:
        words = "It is over, was used, or was not copied in full. Ask whoever sent it for a new one."
        return _dressed(_words(request, "This link does not work", words, status=404))


def _post(request: HttpRequest, token: str) -> HttpResponse:
    now = timezone.now()
    link = links.find(token, now=now)
    if not _length(request) <= MOST_BODY_BYTES:
        most = MOST_BODY_BYTES // 1024 // 1024
        refused = [f"All files together were more than {most} MB, so none was taken. Send a few at a time."]
        return _page(request, link, Outcome(refused=refused), status=413)
    request.upload_handlers = [InMemory(request)]
    files, problem = _files(request)
    if problem and not (problem == NO_FILE and links.is_complete(link)):
        return _page(request, link, Outcome(refused=[problem]), status=422)
    outcome = links.take_files(link=link, files=files, now=now)
    if outcome.handed_in:
        return render(request, "accounts/kyc/upload_done.html", {"workspace": link.workspace})
    return _page(request, link, outcome, status=422 if outcome.refused else 200)


def _length(request: HttpRequest) -> float:
    """Unbounded where the client does not tell: such a body is not read."""
    text = request.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else float("inf")


def _files(request: HttpRequest) -> tuple[list[Sent], str]:
    sent: list[Sent] = []
    for name in ("identity", "selfie", "address", OTHER):
        for file in request.FILES.getlist(name):
            sent.append(Sent(file.name or "file", _kind(request, name), file.read()))
    if not sent:
        return [], NO_FILE
    if len(sent) > MOST_FILES:
        return [], f"{len(sent)} files were sent at once; send at most {MOST_FILES}. None was taken."
    return sent, ""


def _kind(request: HttpRequest, name: str) -> str:
    if name == "identity":
        chosen = request.POST.get("identity_kind", "")
        return chosen if chosen in documents.IDENTITY else Kind.IDENTITY_CARD
    return {"selfie": Kind.SELFIE, "address": Kind.PROOF_OF_ADDRESS}.get(name, Kind.OTHER)


def _page(request: HttpRequest, link: UploadLink, outcome: Outcome | None = None, status: int = 200) -> HttpResponse:
    with scoped(link.workspace_id):
        missing = {asked.name for asked in documents.missing(link.record)}
    asked = documents.ASKED_FOR[link.record.level]
    context = {
        "link": link,
        "workspace": link.workspace,
        "question": links.question(link),
        "asked": [{"asked": each, "there": each.name not in missing} for each in asked],
        "identity_kinds": [(kind.value, kind.label) for kind in documents.IDENTITY],
        "documents": links.handed_in(link),
        "outcome": outcome,
        "complete": links.is_complete(link),
        "waiting": outcome is not None and not outcome.refused and not missing,
        "accept": ",".join(MEDIA_TYPES.values()),
        "most_bytes": MOST_BYTES,
        "most_megabytes": MOST_BYTES // 1024 // 1024,
    }
    return render(request, "accounts/kyc/upload.html", context, status=status)


def _words(request: HttpRequest, title: str, words: str, *, status: int) -> HttpResponse:
    answer = render(request, "accounts/kyc/upload_words.html", {"title": title, "words": words}, status=status)
    if status == 429:
        answer.headers["Retry-After"] = "60"
    return answer


def _dressed(answer: HttpResponse) -> HttpResponse:
    for name, value in HEADERS.items():
        answer.headers[name] = value
    # Django would write the address of every refusal to the log, and whoever has the address can send documents.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer
