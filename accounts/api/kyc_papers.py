"""Documents of a KYC record and links to hand them in, and all that is kept about a subject: taken along, or erased."""

from __future__ import annotations

import re
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import FileResponse, Http404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import Body, Nothing, Text, WholeNumber
from accounts.api.kyc_refusals import telling_refusals
from accounts.api.problems import TooLarge, Unprocessable
from accounts.kyc import documents, links, privacy
from accounts.kyc.rendering import MOST_BYTES
from accounts.kyc.texts import LONGEST_TEXT
from accounts.kyc.upload_page import InMemory
from accounts.models import KycDocument, UploadLink

KINDS: Final = ", ".join(KycDocument.Kind.values)
AROUND_A_FILE: Final = 64 * 1024
EXPORT, ERASE = "export", "erase"


class FileBody(MultiPartParser):
    """One file and its fields, kept in memory: on the disk it would lie in the open."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        request = parser_context["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES + AROUND_A_FILE:
            raise TooLarge(f"The file is larger than {MOST_BYTES // 1024 // 1024} MB.", field="file")
        request._request.upload_handlers = [InMemory(request._request)]
        return super().parse(stream, media_type, parser_context)


class UploadDocument(serializers.Serializer):
    """multipart/form-data."""

    file = serializers.FileField(help_text=f"PNG, JPEG or PDF of at most {MOST_BYTES // 1024 // 1024} MB.")
    kind = serializers.CharField(help_text=f"One of: {KINDS}.")
    side = serializers.ChoiceField(choices=["front", "back"], required=False)


class KycDocumentSerializer(serializers.ModelSerializer):
    """What is known of a document. Its pages are shown to reviewers alone, by no token."""

    kind = serializers.CharField(help_text=f"One of: {KINDS}.")

    class Meta:
        model = KycDocument
        fields = ("id", "kind", "side", "name", "state", "size_bytes", "pages", "number_last_four", "uploaded_at")


class UploadLinkSerializer(serializers.ModelSerializer):
    class Meta:
        model = UploadLink
        fields = ("id", "created_at", "expires_at", "opened_at", "used_at", "revoked_at", "uploads")


class NewUploadLinkSerializer(UploadLinkSerializer):
    url = serializers.CharField(help_text="For the subject. It is told once.")

    class Meta(UploadLinkSerializer.Meta):
        fields = (*UploadLinkSerializer.Meta.fields, "url")


class CreateUploadLink(Body):
    days = WholeNumber(min_value=1, max_value=links.LONGEST_DAYS, required=False)
    text_for_subject = Text(max_length=LONGEST_TEXT, required=False, allow_blank=True)


class EraseSubject(Body):
    reference = Text(max_length=120, help_text="What your systems call the person, once more: it cannot be undone.")
    reason = Text(max_length=200)


class Papers:
    """Of KYC records."""

    @extend_schema(methods=["GET"], responses=KycDocumentSerializer(many=True), filters=False)
    @extend_schema(
        methods=["POST"], request={"multipart/form-data": UploadDocument}, responses={201: KycDocumentSerializer}
    )
    @action(detail=True, methods=["get", "post"], parser_classes=[FileBody], cursor_ordering=("uploaded_at", "id"))
    def documents(self: Any, request: Request, pk: str) -> Response:
        """The documents of a record; POST hands another one in."""
        record = self.get_object()
        if request.method == "GET":
            page = self.paginate_queryset(KycDocument.objects.filter(record=record, removed_at=None))
            return self.get_paginated_response(KycDocumentSerializer(page, many=True).data)
        file, words = _uploaded(request)
        try:
            with telling_refusals():
                row = documents.accept(
                    record=record,
                    content=file.read(),
                    name=file.name or "file",
                    acting_user=self.token,
                    now=timezone.now(),
                    **words,
                )
        except ValidationError as refusal:
            if hasattr(refusal, "error_dict"):
                raise
            raise Unprocessable.one("file", "invalid", " ".join(refusal.messages)) from None
        return Response(KycDocumentSerializer(row).data, status=201)

    @extend_schema(methods=["GET"], responses=UploadLinkSerializer(many=True), filters=False)
    @extend_schema(methods=["POST"], request=CreateUploadLink, responses={201: NewUploadLinkSerializer})
    @action(detail=True, methods=["get", "post"], url_path="upload-links", cursor_ordering=("-created_at", "-id"))
    def upload_links(self: Any, request: Request, pk: str) -> Response:
        """Links by which the subject hands documents in without an account; POST makes one, and tells it once."""
        record = self.get_object()
        if request.method == "GET":
            page = self.paginate_queryset(UploadLink.objects.filter(record=record))
            return self.get_paginated_response(UploadLinkSerializer(page, many=True).data)
        given = CreateUploadLink.checked(request.data)
        with telling_refusals():
            link, token = links.create_link(record=record, acting_user=self.token, now=timezone.now(), **given)
        url = f"{settings.CONSOLE_URL}{reverse('kyc_upload', args=[token])}"
        return Response(UploadLinkSerializer(link).data | {"url": url}, status=201)

    @extend_schema(responses={204: None})
    @action(detail=True, methods=["delete"], url_path=r"upload-links/(?P<link>[^/]+)")
    def upload_link(self: Any, request: Request, pk: str, link: str) -> Response:
        """Takes a link back, at once; twice as well as once."""
        rows = UploadLink.objects.filter(record=self.get_object())
        row = rows.filter(pk=int(link)).first() if re.fullmatch("[1-9][0-9]{0,17}", link) else None
        if row is None:
            raise Http404
        links.revoke_link(link=row, acting_user=self.token, now=timezone.now())
        return Response(status=204)


class WholeSubject:
    """Of subjects. Each takes a scope that no other includes, since it reaches passports and faces."""

    @extend_schema(request=Nothing, responses={(200, "application/zip"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["post"])
    def export(self: Any, request: Request, pk: str) -> Any:
        """A zip of everything that is kept about the subject, documents and attempts included. That it was made is
        written down."""
        Nothing.checked(request.data)
        subject = self.get_object()
        bundle = privacy.export(subject=subject, acting_user=self.token, now=timezone.now())
        answer = FileResponse(bundle, as_attachment=True, filename=f"subject-{subject.pk}.zip")
        answer["Cache-Control"] = "no-store"
        return answer

    @extend_schema(request=EraseSubject, responses={204: None})
    @action(detail=True, methods=["post"])
    def erase(self: Any, request: Request, pk: str) -> Response:
        """Removes the person for good: rows are emptied, files deleted, the gate forgets them."""
        subject = self.get_object()
        given = EraseSubject.checked(request.data)
        if subject.erased_at is None and given["reference"] != subject.reference:
            raise Unprocessable.one("reference", "different", "The subject is called otherwise. Nothing is erased.")
        privacy.erase(subject=subject, reason=given["reason"], acting_user=self.token, now=timezone.now())
        return Response(status=204)


def _uploaded(request: Request) -> tuple[Any, dict[str, str]]:
    """The file and the words about it. Raises Unprocessable."""
    data = request.data
    unknown = sorted(set(data) - {"file", "kind", "side"})
    if unknown:
        raise Unprocessable.one(unknown[0][:60], "unknown_field", "The fields are file, kind and side.")
    file, words = data.get("file"), {name: data[name] for name in ("kind", "side") if name in data}
    if not hasattr(file, "read"):
        raise Unprocessable.one("file", "required", "Send a file, as multipart/form-data.")
    for name, value in ({"kind": ""} | words).items():
        if not isinstance(value, str) or (name == "kind" and not value):
            raise Unprocessable.one(name, "required", f"{name} is one of: {KINDS}.")
    return file, words
