"""Keeps what somebody asked for on a page and what needs a second person, and shows them what they wait for."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from policies import approvals
from policies.widening import NeedsApproval


class SecondPerson:
    """In one place, so that no page can forget it. It stands within the workspace and the messages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, NeedsApproval):
            return None
        proposal = approvals.propose(exception)
        address = reverse("admin:policies_proposedchange_change", args=[proposal.pk])
        messages.warning(request, "Nothing was changed yet: this opens what needs a second person's approval.")
        if request.headers.get("HX-Request") == "true":
            return HttpResponse(headers={"HX-Redirect": address})
        return redirect(address)
