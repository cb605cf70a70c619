"""REST for changing many phone numbers at once: all of them or none."""

from __future__ import annotations

import re
from typing import Any

from rest_framework import serializers

from accounts.api.inputs import Body, Text, WholeNumber
from accounts.api.problems import FieldError, Unprocessable
from policies import closing
from policies.api.edits import Confirmed, CountryList
from policies.api.plans import PlanSerializer
from policies.bulk import MOST_NUMBERS, MOST_PROBLEMS
from policies.models import CountryPolicy, PhoneNumber, SyncTarget

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_ADD = "Added to the list of each number; nothing changes where every country is allowed."
_REMOVE = "Taken from the list of each number."


class Matching(Body):
    """Numbers by what they are; an empty object means all of the workspace."""

    policy = WholeNumber(required=False, min_value=1, help_text="The id of the policy they follow.")
    state = serializers.ChoiceField(required=False, choices=SyncTarget.State.choices)

    def to_internal_value(self, data: Any) -> Any:
        """A misspelt name must not come to mean all numbers."""
        unknown = sorted(str(name) for name in data.keys() - self.fields.keys()) if isinstance(data, dict) else []
        if unknown:
            detail = f"There is no field {unknown[0][:60]!r} here."
            raise serializers.ValidationError({unknown[0][:60]: [serializers.ErrorDetail(detail, "unknown_field")]})
        return super().to_internal_value(data)


class EditPhoneNumbers(Confirmed):
    """`phone_numbers` or `matching`, and what is to become of each of them."""

    phone_numbers = serializers.ListField(
        child=Text(max_length=20), required=False, allow_empty=False, max_length=MOST_NUMBERS
    )
    matching = Matching(required=False)
    policy = WholeNumber(required=False, min_value=1, help_text="The id of the policy that they follow from now on.")
    allowed_inbound_country_list = CountryList(required=False)
    allowed_outbound_country_list = CountryList(required=False)
    add_inbound_countries = CountryList(required=False, help_text=_ADD)
    add_outbound_countries = CountryList(required=False, help_text=_ADD)
    remove_inbound_countries = CountryList(required=False, help_text=_REMOVE)
    remove_outbound_countries = CountryList(required=False, help_text=_REMOVE)
    mode = serializers.ChoiceField(required=False, choices=PhoneNumber.Mode.choices)
    inbound_when_console_down = serializers.ChoiceField(required=False, choices=[closing.ANSWERED, closing.DROPPED])

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if ("phone_numbers" in given) == ("matching" in given):
            detail = "Send either phone_numbers or matching."
            raise serializers.ValidationError({"phone_numbers": detail}, "conflict")
        return given


class EditedPhoneNumbers(serializers.Serializer):
    phone_numbers = serializers.IntegerField(help_text="How many were looked at.")
    changed = serializers.IntegerField(help_text="How many are anything else than before.")
    new_policies = serializers.ListField(
        child=serializers.IntegerField(),
        help_text="The policies made because other numbers keep the one that was shared.",
    )
    lists = PlanSerializer(help_text="What changes at UponAI.")


def chosen(given: dict[str, Any]) -> list[int]:
    """The rows that the body names. Raises Unprocessable naming the numbers that are not there."""
    if "matching" in given:
        rows = PhoneNumber.objects.all()
        if "policy" in given["matching"]:
            rows = rows.filter(policy_id=_policy(given["matching"]["policy"]))
        if "state" in given["matching"]:
            rows = rows.filter(sync_target__state=given["matching"]["state"])
        return list(rows.values_list("pk", flat=True)[: MOST_NUMBERS + 1])
    wanted = set(given["phone_numbers"])
    known = dict(PhoneNumber.objects.values_list("e164", "pk"))
    unknown = sorted(wanted - known.keys())
    if unknown:
        raise Unprocessable([_unknown(e164) for e164 in unknown[:MOST_PROBLEMS]])
    return [known[e164] for e164 in wanted]


def _policy(policy_id: int) -> int:
    if not CountryPolicy.objects.filter(pk=policy_id).exists():
        raise Unprocessable.one("matching.policy", "not_found", "There is no such country policy in this workspace.")
    return policy_id


def _unknown(e164: str) -> FieldError:
    if not _E164.fullmatch(e164):
        return FieldError("phone_numbers", "invalid", f"{e164!r} is not a number such as +14155550100.")
    return FieldError("phone_numbers", "not_found", f"{e164} is no number of this workspace.")
