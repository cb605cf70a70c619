"""Subjects and KYC records: written down, handed in, and, with a scope that must be asked for by name, decided."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson
from django.db import transaction
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import kyc_bodies as bodies
from accounts.api.inputs import Body, Nothing, filter_set, one_of
from accounts.api.kyc_papers import ERASE, EXPORT, Papers, WholeSubject
from accounts.api.kyc_refusals import telling_refusals
from accounts.api.problems import Unprocessable
from accounts.api.views import ApiViewSet
from accounts.kyc import claims, evidence, records, review
from accounts.models import KycRecord, KycTransition, Subject

Verb = Callable[..., KycRecord]


class SubjectSerializer(serializers.ModelSerializer):
    nationalities = serializers.SerializerMethodField()
    country_of_residence = serializers.CharField(source="country_of_residence.code")
    devices = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Subject
        fields = (
            "id",
            "reference",
            "name",
            "phone",
            "email",
            "nationalities",
            "country_of_residence",
            "date_of_birth",
            "devices",
            "created_at",
            "erased_at",
        )

    def get_nationalities(self, subject: Subject) -> list[str]:
        return [country.code for country in subject.nationalities]


class Subjects(WholeSubject, RetrieveModelMixin, ListModelMixin, ApiViewSet):
    """The end users that KYC records are about."""

    scope_resource = "subjects"
    scope_verbs = {"export": EXPORT, "erase": ERASE}
    has_etag = True
    queryset = Subject.objects.all()
    serializer_class = SubjectSerializer
    filterset_class = filter_set("SubjectFilters", reference=filters.CharFilter(label="Exactly this reference."))
    cursor_ordering = ("-id",)

    def etag_of(self, row: Subject) -> str:
        return _etag(row.pk, SubjectSerializer(row).data)

    @extend_schema(request=bodies.CreateSubject, responses={201: SubjectSerializer})
    def create(self, request: Request) -> Response:
        given = bodies.CreateSubject.checked(request.data)
        now = timezone.now()
        row = records.create_subject(workspace=self.token.workspace, acting_user=self.token, now=now, **given)
        return _created(self, row)

    @extend_schema(request=bodies.EditSubject, responses=SubjectSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        with transaction.atomic():
            row = Subject.objects.select_for_update().get(pk=self.get_object().pk)
            self.require_match(self.etag_of(row))
            given = bodies.EditSubject.checked(request.data)
            row = records.edit_subject(subject=row, acting_user=self.token, now=timezone.now(), **given)
        return self.answer(row)


class KycTransitionSerializer(serializers.ModelSerializer):
    by = serializers.CharField(source="actor_label")

    class Meta:
        model = KycTransition
        fields = (
            "sequence",
            "at",
            "verb",
            "from_state",
            "to_state",
            "by",
            "reason_codes",
            "text_for_subject",
            "fallback",
        )


class KycRecordSerializer(serializers.ModelSerializer):
    subject = serializers.CharField(source="subject.reference", help_text="What your systems call the person.")
    level = serializers.IntegerField(min_value=1, max_value=3)
    declared_countries = serializers.SerializerMethodField()
    declared_channels = serializers.ListField(child=serializers.CharField())
    second_reasons = serializers.ListField(child=serializers.CharField(), help_text="Why it takes two people.")
    screening = serializers.DictField(help_text="What was screened against which list, and what was not.")

    class Meta:
        model = KycRecord
        fields = (
            "id",
            "subject",
            "level",
            "state",
            "expires_at",
            "declared_countries",
            "declared_channels",
            "declared_calls_per_day",
            "declared_purpose",
            "second_needed",
            "second_reasons",
            "screening",
            "rejection",
            "renews",
            "due_at",
            "created_at",
            "submitted_at",
            "decided_at",
        )

    def get_declared_countries(self, record: KycRecord) -> list[str]:
        return [country.code for country in record.declared_countries]


class KycCaseSerializer(KycRecordSerializer):
    """One record, with what a decision about it is pinned to and how it came to stand where it stands."""

    evidence = serializers.SerializerMethodField(help_text="Name it when you decide; it changes with what you saw.")
    transitions = serializers.SerializerMethodField()

    class Meta(KycRecordSerializer.Meta):
        fields = (*KycRecordSerializer.Meta.fields, "evidence", "transitions")

    def get_evidence(self, record: KycRecord) -> str:
        return evidence.hash_of(record)

    @extend_schema_field(KycTransitionSerializer(many=True))
    def get_transitions(self, record: KycRecord) -> Any:
        return KycTransitionSerializer(record.transitions.order_by("sequence"), many=True).data


class KycRecords(Papers, RetrieveModelMixin, ListModelMixin, ApiViewSet):
    """Identity checks, how far each is, and what is done to them."""

    scope_resource = "kyc-records"
    scope_verbs = dict.fromkeys(
        (
            "claim",
            "release",
            "request_information",
            "approve",
            "reject",
            "confirm",
            "refuse_proposal",
            "suspend",
        ),
        "decide",
    )
    has_etag = True
    queryset = KycRecord.objects.select_related("subject")
    serializer_class = KycRecordSerializer
    filterset_class = filter_set(
        "KycRecordFilters",
        state=one_of(KycRecord.State.values),
        level=one_of("123"),
        subject=filters.CharFilter(field_name="subject__reference", label="The subject's reference."),
    )
    cursor_ordering = ("-id",)

    def get_serializer_class(self) -> Any:
        return KycRecordSerializer if self.action == "list" else KycCaseSerializer

    def etag_of(self, row: KycRecord) -> str:
        return _etag(row.pk, [row.moves, row.state, row.claimed_by, evidence.hash_of(row)])

    @extend_schema(responses=KycCaseSerializer)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.answer(self.get_object())

    @extend_schema(request=bodies.CreateKycRecord, responses={201: KycCaseSerializer})
    def create(self, request: Request) -> Response:
        """Opens a draft for a subject that is there."""
        given = bodies.CreateKycRecord.checked(request.data)
        reference = given.pop("subject")
        subject = Subject.objects.filter(reference=reference, erased_at=None).first()
        if subject is None:
            raise Unprocessable.one("subject", "unknown", f"There is no subject with the reference “{reference}”.")
        row = records.create_kyc_record(
            workspace=self.token.workspace, subject=subject, acting_user=self.token, now=timezone.now(), **given
        )
        return _created(self, row)

    @extend_schema(request=bodies.EditKycRecord, responses=KycCaseSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        with transaction.atomic():
            row = self._matching()
            given = bodies.EditKycRecord.checked(request.data)
            row = records.edit_kyc_record(record=row, acting_user=self.token, now=timezone.now(), **given)
        return self.answer(row)

    @extend_schema(request=Nothing, responses=KycCaseSerializer)
    @action(detail=True, methods=["post"])
    def submit(self, request: Request, pk: str) -> Response:
        """Hands the record in."""
        return self._run(review.submit, Nothing)

    @extend_schema(request=Nothing, responses=KycCaseSerializer)
    @action(detail=True, methods=["post"], url_path="provide-information")
    def provide_information(self, request: Request, pk: str) -> Response:
        """What was asked for has come."""
        return self._run(review.provide_information, Nothing)

    @extend_schema(request=Nothing, responses=KycCaseSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """The subject no longer wants it. An approval ends with it."""
        return self._run(review.withdraw, Nothing)

    @extend_schema(request=Nothing, responses=KycCaseSerializer)
    @action(detail=True, methods=["post"])
    def claim(self, request: Request, pk: str) -> Response:
        """Takes the case, so that nobody else works on it."""
        return self._run(claims.claim, Nothing)

    @extend_schema(request=Nothing, responses=KycCaseSerializer)
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Puts the case back into the queue."""
        return self._run(claims.release, Nothing)

    @extend_schema(request=bodies.RequestInformation, responses=KycCaseSerializer)
    @action(detail=True, methods=["post"], url_path="request-information")
    def request_information(self, request: Request, pk: str) -> Response:
        return self._run(review.request_information, bodies.RequestInformation)

    @extend_schema(request=bodies.Approve, responses=KycCaseSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Approves what you saw, or proposes it where two people are needed: see `state` in the answer."""
        return self._run(review.approve, bodies.Approve, pinned=True)

    @extend_schema(request=bodies.Reject, responses=KycCaseSerializer)
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, pk: str) -> Response:
        """Rejects what you saw, or proposes it where two people are needed."""
        return self._run(review.reject, bodies.Reject, pinned=True)

    @extend_schema(request=bodies.Confirm, responses=KycCaseSerializer)
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, pk: str) -> Response:
        """The second reviewer agrees."""
        return self._run(review.confirm, bodies.Confirm, pinned=True)

    @extend_schema(request=bodies.RefuseProposal, responses=KycCaseSerializer)
    @action(detail=True, methods=["post"], url_path="refuse-proposal")
    def refuse_proposal(self, request: Request, pk: str) -> Response:
        """The second reviewer does not agree."""
        return self._run(review.refuse_proposal, bodies.RefuseProposal)

    @extend_schema(request=bodies.Suspend, responses=KycCaseSerializer)
    @action(detail=True, methods=["post"])
    def suspend(self, request: Request, pk: str) -> Response:
        """Takes an approval back at once."""
        return self._run(review.suspend, bodies.Suspend)

    def _run(self, verb: Verb, body: type[Body], *, pinned: bool = False) -> Response:
        given = body.checked(self.request.data)
        # No transaction around it: what a verb notes while it refuses (a cancelled proposal) is to stay.
        row = self.get_object()
        named = self.require_match(self.etag_of(row))
        if pinned:
            seen = given.pop("evidence", None) or (evidence.hash_of(row) if named else None)
            if seen is None:
                raise Unprocessable.one(
                    "evidence", "required", "Say what you looked at: the record's `evidence`, or its ETag in If-Match."
                )
            given["seen_evidence"] = seen
        with telling_refusals():
            row = verb(record=row, acting_user=self.token, now=timezone.now(), **given)
        return self.answer(row)

    def _matching(self) -> KycRecord:
        found: KycRecord = self.get_object()
        row: KycRecord = KycRecord.objects.select_for_update(of=("self",)).select_related("subject").get(pk=found.pk)
        self.require_match(self.etag_of(row))
        return row


def _etag(pk: int, facts: Any) -> str:
    return f'"{pk}-{hashlib.sha256(orjson.dumps(facts, default=str)).hexdigest()[:16]}"'


def _created(view: Any, row: Any) -> Response:
    response: Response = view.answer(row, status=201)
    response["Location"] = view.reverse_action("detail", kwargs={"pk": row.pk})
    return response
