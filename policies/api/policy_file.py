"""REST for policy as code: export, plan and apply of a whole policy file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.problems import MEDIA_TYPE, FieldError, ProblemSerializer, Stale, TooLarge, Unprocessable
from accounts.api.views import LARGEST_BODY, ApiView, JsonBody
from accounts.models import Workspace
from accounts.tokens import grants
from policies.api.approvals import AwaitingApproval
from policies.policy_file import exporting
from policies.policy_file.applying import carry_through
from policies.policy_file.difference import plan
from policies.policy_file.fingerprint import Moved
from policies.policy_file.problems import BadPolicyFile, FileProblem, TooLargeFile
from policies.policy_file.reading import Source, read_object, read_text

YAML: Final = "application/yaml"
# What the file may speak of, and the resource whose scope that needs.
_SECTIONS: Final = {
    "policies": "country-policies",
    "phone_numbers": "phone-numbers",
    "public_keys": "public-keys",
}


class YamlBody(BaseParser):
    """The text of a policy file, as it came."""

    media_type = YAML

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> bytes:
        if int(parser_context["request"].META.get("CONTENT_LENGTH") or 0) > LARGEST_BODY:
            raise TooLarge
        text: bytes = stream.read()
        return text


class OtherYamlBody(YamlBody):
    media_type = "application/x-yaml"


class TextYamlBody(YamlBody):
    media_type = "text/yaml"


class PlainTextBody(YamlBody):
    media_type = "text/plain"


class CountrySerializer(serializers.Serializer):
    country = serializers.CharField()
    name = serializers.CharField()
    exposure_tier = serializers.CharField(help_text="T1 is denied by default, T2 preferred by fraud, T3 normal.")


@extend_schema_field({"description": "As the field itself; null where nothing was or will be set."})
class AnyValue(serializers.Field):
    def to_representation(self, value: Any) -> Any:
        return value


class PartSerializer(serializers.Serializer):
    part = serializers.CharField(help_text="Such as class_rules.premium_rate, or a field of a key.")
    before = AnyValue()
    after = AnyValue()
    widens = serializers.BooleanField()


class DirectionChangeSerializer(serializers.Serializer):
    opens = CountrySerializer(many=True)
    closes = CountrySerializer(many=True)
    lifts_list = serializers.BooleanField(help_text="There was a list, and every country will be allowed.")
    restores_list = serializers.BooleanField(help_text="Every country was allowed, and there will be a list.")
    parts = PartSerializer(many=True)
    widens = serializers.BooleanField()


class PolicyChangeSerializer(serializers.Serializer):
    name = serializers.CharField()
    change = serializers.ChoiceField(choices=["create", "edit"])
    revision = serializers.IntegerField(allow_null=True, help_text="The one that is edited; null for a new policy.")
    phone_numbers = serializers.ListField(child=serializers.CharField(), help_text="Those that go on following it.")
    inbound = DirectionChangeSerializer()
    outbound = DirectionChangeSerializer()


class AssignmentSerializer(serializers.Serializer):
    phone_numbers = serializers.ListField(child=serializers.CharField())
    before = serializers.CharField(help_text="The policy they follow.")
    after = serializers.CharField(help_text="The policy they are to follow.")
    inbound = DirectionChangeSerializer()
    outbound = DirectionChangeSerializer()


class KeyChangeSerializer(serializers.Serializer):
    name = serializers.CharField()
    change = serializers.ChoiceField(choices=["mint", "edit"])
    fields_ = PartSerializer(many=True)
    widens = serializers.BooleanField(help_text="A new key always does: it is a new way in.")
    notice = serializers.CharField(help_text="What is still to be done by hand, or empty.")

    def get_fields(self) -> dict[str, Any]:
        declared: dict[str, Any] = super().get_fields()
        declared["fields"] = declared.pop("fields_")
        return declared


class OpensSerializer(serializers.Serializer):
    inbound = CountrySerializer(many=True)
    outbound = CountrySerializer(many=True)


class PolicyFilePlanSerializer(serializers.Serializer):
    """What applying the file would change."""

    workspace = serializers.CharField()
    state = serializers.ChoiceField(choices=["nothing_to_do", "changes"])
    fingerprint = serializers.CharField(help_text="For `plan` of apply: refuse if what it was made of has changed.")
    widens = serializers.BooleanField(help_text="Something gets through that does not now.")
    opens = OpensSerializer(help_text="The countries that some number or policy gets.")
    policies = PolicyChangeSerializer(many=True)
    assignments = AssignmentSerializer(many=True, help_text="Numbers that are to follow another policy.")
    public_keys = KeyChangeSerializer(many=True)
    looked_at = serializers.DictField(help_text="The version of all that the file was compared with.")


class PolicyFileAppliedSerializer(PolicyFilePlanSerializer):
    """What was changed."""

    state = serializers.ChoiceField(choices=["nothing_to_do", "applied"])


_FILE: Final = {
    "type": "object",
    "description": "`file` holds the policy file, as YAML text or as an object. The file itself may be sent as well.",
    "properties": {"file": {"description": "The policy file: its text, or what it says as an object."}},
}
_PLAN_FIELD: Final = {
    "description": "The plan's fingerprint or the whole plan: then what it looked at must still be so, else 412."
}
_TEXT: Final = {"type": "string", "description": "The policy file in YAML, at most 1 MiB."}
_APPLY: Final = {**_FILE, "properties": {**_FILE["properties"], "plan": _PLAN_FIELD}}  # type: ignore[dict-item]


class PolicyFileView(ApiView):
    """Needs, beside the scope for policies, that for numbers and keys where the file names some."""

    scope_resource = "country-policies"
    parser_classes = [JsonBody, YamlBody, OtherYamlBody, TextYamlBody, PlainTextBody]

    def source(self, data: Any, *, verb: str) -> Source:
        source = _read(data)
        named = source.value.keys() if isinstance(source.value, dict) else ()
        self.require_scopes((section for section in _SECTIONS if section in named), verb)
        return source

    def require_scopes(self, sections: Iterable[str], verb: str) -> None:
        for section in sections:
            scope = f"{_SECTIONS[section]}:{verb}"
            if not grants(self.token, scope):
                raise PermissionDenied(f"This token lacks the scope {scope}, which {section} in the file need.")

    @property
    def workspace(self) -> Workspace:
        return self.token.workspace


class PlanView(PolicyFileView):
    scope_verbs = {"": "read"}

    @extend_schema(
        request={"application/json": _FILE, YAML: _TEXT}, responses=PolicyFilePlanSerializer, operation_id="plan_create"
    )
    def post(self, request: Request) -> Response:
        """Says what applying a policy file would change. Changes nothing."""
        with refusals():
            source = self.source(_file_in(request.data), verb="read")
            return Response(plan(workspace=self.workspace, source=source).as_json())


class ApplyView(PolicyFileView):
    @extend_schema(
        request={"application/json": _APPLY, YAML: _TEXT},
        responses={
            200: PolicyFileAppliedSerializer,
            202: AwaitingApproval,
            (412, MEDIA_TYPE): ProblemSerializer,
        },
        parameters=[OpenApiParameter("plan", str, description="The plan's fingerprint, for a file sent as YAML.")],
        operation_id="apply_create",
    )
    def post(self, request: Request) -> Response:
        """Makes the workspace as the file says, all of it or nothing. Sent again, it finds nothing to do."""
        with refusals():
            source = self.source(_file_in(request.data), verb="write")
            outcome = carry_through(
                workspace=self.workspace,
                source=source,
                made_of=_plan_in(request),
                acting_user=self.token,
                now=timezone.now(),
            )
        return Response(outcome.as_json())


class ExportView(PolicyFileView):
    is_one_object = True

    @extend_schema(responses={(200, YAML): OpenApiTypes.STR}, operation_id="policy_file_retrieve")
    def get(self, request: Request) -> HttpResponse:
        """The workspace's policies, numbers and keys as a policy file, without any secret."""
        self.require_scopes(_SECTIONS, "read")
        return HttpResponse(exporting.export(self.workspace), content_type=f"{YAML}; charset=utf-8")


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what a policy file is refused for into problem details; the line is said in the sentence."""
    try:
        yield
    except TooLargeFile as large:
        raise TooLarge(str(large)) from None
    except Moved as moved:
        stale = Stale()
        stale.detail, stale.errors = str(moved), _errors(moved)
        raise stale from None
    except BadPolicyFile as bad:
        raise Unprocessable(_errors(bad)) from None


def _errors(bad: BadPolicyFile) -> list[FieldError]:
    return [FieldError(problem.field, problem.code, _sentence(problem)) for problem in bad.problems]


def _sentence(problem: FileProblem) -> str:
    return f"Line {problem.line}: {problem.detail}" if problem.line else problem.detail


def _file_in(data: Any) -> Any:
    """The file itself, or what stands under `file` beside `plan`."""
    if not isinstance(data, dict) or "file" not in data:
        return {name: part for name, part in data.items() if name != "plan"} if isinstance(data, dict) else data
    unknown = sorted(data.keys() - {"file", "plan"})
    if unknown:
        raise Unprocessable.one(unknown[0][:60], "unknown_field", f"There is no field {unknown[0][:60]!r} here.")
    return data["file"]


def _plan_in(request: Request) -> Any:
    named = request.query_params.get("plan")
    if isinstance(request.data, dict) and request.data.get("plan") is not None:
        return request.data["plan"]
    return named


def _read(data: Any) -> Source:
    return read_text(data) if isinstance(data, str | bytes) else read_object(data)
