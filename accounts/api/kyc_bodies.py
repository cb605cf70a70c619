"""What a client may send about subjects, KYC records and their webhooks."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.api.inputs import Body, Text, WholeNumber
from accounts.kyc.states import InformationReason, Rejection, RejectReason, SuspendReason
from accounts.kyc.texts import LONGEST_TEXT

MOST_ENTRIES = 300
SUBJECT_SHOWN = ("id", "created_at", "erased_at")
RECORD_SHOWN = (
    "id",
    "state",
    "expires_at",
    "created_at",
    "submitted_at",
    "decided_at",
    "evidence",
    "second_needed",
    "second_reasons",
    "screening",
    "rejection",
    "renews",
    "due_at",
    "transitions",
)


class _Day(serializers.DateField):
    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


def _countries(**kwargs: Any) -> serializers.ListField:
    return serializers.ListField(child=Text(max_length=60), max_length=MOST_ENTRIES, **kwargs)


class EditSubject(Body):
    """Only what is sent is changed. Countries may be ISO codes of two or three letters, or names; of people who have no
    nationality, XXX."""

    shown_only = SUBJECT_SHOWN

    reference = Text(max_length=120, required=False)
    name = Text(max_length=160, required=False)
    phone = Text(max_length=40, required=False, allow_blank=True)
    email = Text(max_length=254, required=False, allow_blank=True)
    nationalities = _countries(required=False)
    country_of_residence = Text(max_length=60, required=False, allow_blank=True)
    date_of_birth = _Day(required=False, allow_null=True)
    devices = serializers.ListField(child=Text(max_length=200), max_length=20, required=False)


class CreateSubject(EditSubject):
    reference = Text(max_length=120)
    name = Text(max_length=160)


class EditKycRecord(Body):
    """Only what is sent is changed."""

    shown_only = (*RECORD_SHOWN, "subject")

    level = WholeNumber(min_value=1, max_value=3, required=False)
    declared_countries = _countries(required=False)
    declared_channels = serializers.ListField(child=Text(), max_length=10, required=False)
    declared_calls_per_day = WholeNumber(min_value=1, max_value=1_000_000, required=False, allow_null=True)
    declared_purpose = Text(max_length=200, required=False, allow_blank=True)


class CreateKycRecord(EditKycRecord):
    shown_only = RECORD_SHOWN

    subject = Text(max_length=120, help_text="What your systems call the person.")
    level = WholeNumber(min_value=1, max_value=3)


class _Texts(Body):
    text_for_subject = Text(max_length=LONGEST_TEXT, required=False, allow_blank=True)
    text_for_colleagues = Text(max_length=LONGEST_TEXT, required=False, allow_blank=True)


def _codes(choices: Any) -> serializers.ListField:
    return serializers.ListField(child=serializers.ChoiceField(choices=choices), min_length=1, max_length=20)


class RequestInformation(_Texts):
    reason_codes = _codes(InformationReason.choices)
    text_for_subject = Text(max_length=LONGEST_TEXT)


class Suspend(_Texts):
    reason_codes = _codes(SuspendReason.choices)


class _Seen(_Texts):
    evidence = Text(
        max_length=64,
        required=False,
        help_text="The record's `evidence` when you looked at it; or name it by If-Match.",
    )


class Approve(_Seen):
    override_reason = Text(max_length=LONGEST_TEXT, required=False, allow_blank=True)


class Reject(_Seen):
    reason_codes = _codes(RejectReason.choices)
    rejection = serializers.ChoiceField(choices=Rejection.choices, required=False)


class Confirm(Body):
    evidence = Text(max_length=64, required=False)
    text_for_colleagues = Text(max_length=LONGEST_TEXT, required=False, allow_blank=True)


class RefuseProposal(Body):
    text_for_colleagues = Text(max_length=LONGEST_TEXT)


class AddKycWebhook(Body):
    shown_only = ("id", "created_at", "secret")

    url = Text(max_length=500)
