"""What the addresses of holds, opens, trusted and blocked callers share: fields, and lists of what is in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import Body, Text
from accounts.api.problems import Unprocessable
from accounts.api.views import ApiViewSet
from policies.api.edits import LONGEST_REASON
from policies.engine.names import Channel, Direction
from policies.exception_input import LONGEST_VALUE

DIRECTIONS: Final = [(name.value, name.value) for name in Direction]
CHANNELS: Final = [(name.value, name.value) for name in Channel]
ALL = OpenApiParameter("all", str, enum=["1"], description="Also those that have ended.")
VALUES: Final = (
    "By scope: an E.164 number, a public key, a prefix such as +4474, an ISO country, an IP address or range, "
    "a subject."
)


def scope_field(scopes: Iterable[str], *, help_text: str = "") -> serializers.Field:
    """One of a list of its own for each kind of exception; another is refused by the verb, which says why."""
    schema = {"type": "string", "enum": [str(scope) for scope in scopes]}
    return extend_schema_field(schema)(type("Scope", (Text,), {}))(help_text=help_text)


class ExceptionSerializer(serializers.ModelSerializer):
    """What is empty in the row is null outside."""

    direction = serializers.ChoiceField(choices=DIRECTIONS, allow_null=True, help_text="Null: both.")
    channel = serializers.ChoiceField(choices=CHANNELS, allow_null=True, help_text="Null: all.")

    nulls: tuple[str, ...] = ("direction", "channel")

    def to_representation(self, row: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(row)
        return shown | {name: shown[name] or None for name in self.nulls}


class TemporarySerializer(ExceptionSerializer):
    state = serializers.SerializerMethodField(help_text="in_force, expired, and lifted (holds) or closed (opens).")

    @extend_schema_field(OpenApiTypes.STR)
    def get_state(self, row: Any) -> str:
        state: str = row.state(timezone.now())
        return state


class Making(Body):
    """What every exception is made with; which scopes and values there are, the verb says."""

    value = Text(max_length=LONGEST_VALUE, help_text=VALUES)
    direction = serializers.ChoiceField(
        choices=DIRECTIONS, required=False, allow_null=True, help_text="Both, if left out."
    )
    channel = serializers.ChoiceField(choices=CHANNELS, required=False, allow_null=True, help_text="All, if left out.")
    reason = Text(max_length=LONGEST_REASON, help_text="Why; kept in the audit log.")


class Exceptions(ListModelMixin, ApiViewSet):
    """Lists what is in force, the newest first."""

    cursor_ordering = ("-id",)

    def in_force(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        raise NotImplementedError

    def get_queryset(self) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset()
        return self.in_force(rows) if self.action == "list" else rows

    def made(self, row: Any, **extra: Any) -> Response:
        """The answer to a POST."""
        response = self.answer(row, status=201, **extra)
        response["Location"] = self.reverse_action("detail", kwargs={"pk": row.pk})
        return response

    def acting(self) -> Mapping[str, Any]:
        """What every verb wants to know."""
        return {"acting_user": self.token, "now": timezone.now()}


class TemporaryExceptions(Exceptions):
    """Those that end are kept, and shown to who asks for all."""

    own_parameters = ("all",)
    has_etag = True
    etag_fields = ("reason", "expires_at", "settled_at")

    def in_force(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        if self._wants_all():
            return rows
        return rows.filter(settled_at=None, expires_at__gt=timezone.now())

    def _wants_all(self) -> bool:
        wanted = self.request.query_params.get("all")
        if wanted not in (None, "1"):
            raise Unprocessable.one("all", "invalid", "all can only be 1.")
        return wanted == "1"

    @extend_schema(parameters=[ALL])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What is in force now, the newest first."""
        return super().list(request, *args, **kwargs)
