"""Judged transfers in lists: each says whose running call it was and whether that was ended."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.admin.exporting import ExportedList
from policies import transferred


class ListWithTransfers(ExportedList):
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        page = getattr(response, "context_data", None) or {}
        if "cl" in page:
            told = transferred.of(page["cl"].result_list)
            for row in page["cl"].result_list:
                row.transferred = told.get(row.decision_id)
        return response

    def transfer(self, row: Any) -> str:
        """Empty where it is none."""
        told = getattr(row, "transferred", None)
        return str(told) if told else "Transfer of a running call" if transferred.is_one(row) else ""
