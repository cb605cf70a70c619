"""REST for what waits for a second person, and the answer of every address whose change does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.api.inputs import Body, Nothing, Text, filter_set, one_of
from accounts.api.problems import Refused, as_problem
from accounts.api.views import ApiViewSet
from policies import approvals
from policies.models import ProposedChange
from policies.widening import NeedsApproval

_PARTS: Final = {
    "type": "object",
    "description": "`parts`: what each of them newly lets through, by direction: `countries` with their exposure "
    "tiers, `others` (kinds of numbers and prefixes), `removed` (countries taken away), `before` "
    "and `after` (null: every country).",
}
_FIGURES: Final = {
    "type": "object",
    "properties": {
        "tiers": {"type": "object", "additionalProperties": {"type": "string"}},
        "before_usd_per_hour": {"type": "number"},
        "after_usd_per_hour": {"type": "number"},
        "by_tier_usd_per_hour": {"type": "object", "description": "Towards the tiers it opens: before and after."},
        "without_gate_usd_per_hour": {
            "type": "array",
            "items": {"type": "number"},
            "description": "If UponAI's private key leaked: before and after.",
        },
    },
}


class AwaitingApproval(serializers.Serializer):
    """What waits for a second person, and what of the same request was done at once since it opens nothing."""

    state = serializers.ChoiceField(choices=["awaiting_approval"])
    approval = serializers.IntegerField(help_text="Its id under /api/v1/approvals/.")
    approvals = serializers.ListField(child=serializers.IntegerField(), help_text="All, where several parts wait.")
    detail = serializers.CharField()
    done = serializers.DictField(help_text="Fields of the request that are so already, with what they are now.")
    could_approve = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField()


def as_answer(trouble: Exception, context: Mapping[str, Any]) -> Response:
    """Set as DRF's EXCEPTION_HANDLER: a change that waits for a second person is kept and answered 202, at whichever
    address it was asked for. All else is a problem."""
    if not isinstance(trouble, NeedsApproval):
        return as_problem(trouble, context)
    return waits([approvals.propose(trouble)], context["request"])


def waits(proposals: Sequence[ProposedChange], request: Request, *, done: Mapping[str, Any] | None = None) -> Response:
    """202: these wait. `done`: what else the request wanted and is so already."""
    first = proposals[0]
    said = "; ".join(one.about for one in proposals)
    body = {
        "state": first.state,
        "approval": first.pk,
        "approvals": [one.pk for one in proposals],
        "detail": f"{said}: this waits for a second person. {_done_words(done or {})}",
        "done": dict(done or {}),
        "could_approve": approvals.who_could_approve(first, now=timezone.now()),
        "expires_at": first.expires_at.isoformat().replace("+00:00", "Z"),
    }
    address = reverse("api:approval-detail", args=[first.pk], request=request)
    return Response(body, status=status.HTTP_202_ACCEPTED, headers={"Location": address})


def _done_words(done: Mapping[str, Any]) -> str:
    if not done:
        return "Nothing of this request was done yet."
    parts = (
        f"{name} is {', '.join(map(str, value)) if isinstance(value, list) else value!r}"
        for name, value in sorted(done.items())
    )
    return f"Done at once, since it opens nothing: {'; '.join(parts)}."


class ApprovalSerializer(serializers.ModelSerializer):
    difference = extend_schema_field(_PARTS)(serializers.JSONField)()
    exposure = extend_schema_field(_FIGURES)(serializers.JSONField)()
    proposed_by = serializers.SerializerMethodField()
    decided_by = serializers.SerializerMethodField(help_text="Null while it waits.")
    could_approve = serializers.SerializerMethodField(help_text="Who else may answer, while it waits.")

    class Meta:
        model = ProposedChange
        fields = (
            *("id", "state", "verb", "about", "reason", "difference", "exposure", "could_approve"),
            *("proposed_by", "proposed_at", "expires_at", "decided_by", "decided_at", "answer"),
        )

    def get_proposed_by(self, row: ProposedChange) -> str:
        return approvals.proposer_of(row)

    def get_decided_by(self, row: ProposedChange) -> str | None:
        decided = row.decided_by_id is not None or row.decided_by_token is not None
        return approvals.decider_of(row) if decided else None

    def get_could_approve(self, row: ProposedChange) -> list[str]:
        if row.state != ProposedChange.State.AWAITING:
            return []
        return approvals.who_could_approve(row, now=timezone.now())


class Answer(Body):
    answer = Text(
        required=False,
        allow_blank=True,
        max_length=approvals.LONGEST_ANSWER,
        help_text="Why; kept in the audit log and shown to who proposed it.",
    )


class Approvals(RetrieveModelMixin, ListModelMixin, ApiViewSet):
    """Changes that open something and wait for a second person; the newest first."""

    scope_resource = "approvals"
    queryset = ProposedChange.objects.select_related("proposed_by", "decided_by")
    serializer_class = ApprovalSerializer
    filterset_class = filter_set("ApprovalFilters", state=one_of(ProposedChange.State.values))
    cursor_ordering = ("-id",)
    has_etag = True
    etag_fields = ("state", "decided_at")

    @extend_schema(request=Answer, responses=ApprovalSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Agrees, and carries it out. 403 for who proposed it; 409 when it does not wait any more, or when what it is
        about was changed meanwhile."""
        return self._answered(approvals.approve, Answer.checked(request.data))

    @extend_schema(request=Answer, responses=ApprovalSerializer)
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, pk: str) -> Response:
        """Says no. 403 for who proposed it, who may withdraw it."""
        return self._answered(approvals.reject, Answer.checked(request.data))

    @extend_schema(request=Nothing, responses=ApprovalSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Takes it back, by who proposed it."""
        return self._answered(approvals.withdraw, Nothing.checked(request.data))

    def _answered(self, verb: Any, given: dict[str, Any]) -> Response:
        try:
            row = verb(proposal=self.get_matching(), acting_user=self.token, now=timezone.now(), **given)
        except approvals.NotEntitled as refusal:
            raise Refused("four-eyes", str(refusal)) from None
        except approvals.Conflict as refusal:
            raise Refused("wrong-state", str(refusal)) from None
        return self.answer(row)
