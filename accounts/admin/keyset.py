"""Pages of a long list by the place where the last one ended: the thousandth costs what the first does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.paginator import InfinitePaginator

from accounts.admin.base import ConsoleList

PLACE_VAR = "older_than"


class KeysetPaginator(InfinitePaginator):
    """One page, of whose rows the list is asked for no number; the next begins at the place after its last row."""

    template_name = "components/_keyset_pagination.html"


class KeysetList(ConsoleList):
    """A list whose ordering is a moment and the primary key, the newest first."""

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        self.place = found.pop(PLACE_VAR, [None])[-1]
        return found

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> QuerySet[Any]:
        rows = super().get_queryset(request, exclude_parameters)
        return rows.filter(self._older(self.place)) if self.place else rows

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # Nobody counted, so there is no count to be shown.
        self.full_result_count = self.result_count

    @property
    def older_href(self) -> str:
        """The page after this one; empty when this is the last."""
        rows = list(self.result_list)
        if len(rows) < self.list_per_page:
            return ""
        place = f"{getattr(rows[-1], self._moment).isoformat()}_{rows[-1].pk}"
        return str(self.get_query_string({PLACE_VAR: place}))

    @property
    def newest_href(self) -> str:
        return str(self.get_query_string(remove=[PLACE_VAR])) if self.place else ""

    @property
    def _moment(self) -> str:
        return str(self.model_admin.ordering[0]).lstrip("-")

    def _older(self, place: str) -> Q:
        moment, _, pk = place.rpartition("_")
        try:
            given, last = datetime.fromisoformat(moment), int(pk)
            at = given.astimezone(UTC)  # a database would do it later, with the years that there are in UTC
        except (ValueError, OverflowError) as problem:
            raise IncorrectLookupParameters(problem) from None
        if given.tzinfo is None or not 0 < last < 2**63:
            raise IncorrectLookupParameters(place)
        # Written so that the first half alone bounds the walk through the index.
        return Q(**{f"{self._moment}__lte": at}) & (Q(**{f"{self._moment}__lt": at}) | Q(pk__lt=last))
