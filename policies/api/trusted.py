"""REST for the trusted list."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import filter_set, one_of
from policies import lists
from policies.api.edits import refusals
from policies.api.exceptions import scope_field
from policies.api.list_entries import Entries, EntrySerializer, MakeEntry
from policies.list_input import scopes_of
from policies.models import ListEntry, Trusted

SCOPES = [scope for scope, _ in scopes_of(ListEntry.List.TRUSTED)]


class Trust(MakeEntry):
    """Trusting who is trusted already keeps the later end."""

    scope = scope_field(SCOPES)


class TrustedSerializer(EntrySerializer):
    scope = scope_field(SCOPES)


class TrustedEntries(Entries):
    """Own offices and test numbers: spared the captcha, the limits and suspicion; never sanctions, holds or caps."""

    scope_resource = "trusted"
    queryset = Trusted.objects.filter(list=ListEntry.List.TRUSTED)
    serializer_class = TrustedSerializer
    filterset_class = filter_set("TrustedFilters", scope=one_of(SCOPES))

    @extend_schema(request=Trust, responses={201: TrustedSerializer})
    def create(self, request: Request) -> Response:
        """Trusts a number, address or end user. A number under a sanctioned calling code is refused."""
        given = Trust.checked(request.data)
        with refusals():
            entry = lists.trust(workspace_id=self.token.workspace_id, **given, **self.acting())
        return self.made(entry)
