"""What the pages of holds, opens, trusted and blocked callers share: they are made and ended, never rewritten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from unfold.contrib.filters.admin import ChoicesRadioFilter
from unfold.decorators import display

from accounts.admin.base import ConsoleAdmin, Problems
from accounts.admin.display import time_cell
from policies.admin import hold_words
from policies.rules_input import Refused

MOST_SHOWN: Final = 20


class ExceptionAdmin(ConsoleAdmin):
    """`moment` and `maker`: the columns that say when it was made and by whom."""

    refusals = (Refused,)
    list_display_links = ("thing",)
    list_filter = (("scope", ChoicesRadioFilter),)
    list_before_template = "policies/exception_list_before.html"
    change_form_outer_before_template = "policies/exception_before.html"
    fields_to_read: tuple[str, ...] = ()
    end_field = "minutes"
    moment, maker = "", ""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was made is ended or made anew, never rewritten."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj is None else ((None, {"fields": self.fields_to_read}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.fields_to_read

    def problems_of(self, refusal: Any) -> Problems:
        found: dict[str, list[str]] = {}
        for problem in refusal.problems:
            name = self.end_field if problem.field == "expires_at" else problem.field
            found.setdefault(name, []).append(problem.detail)
        return found

    def list_address(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        self.say_made(request, obj)
        return redirect(self.list_address())

    def say_made(self, request: HttpRequest, row: Any) -> None:
        raise NotImplementedError

    def to_edit(self, request: HttpRequest) -> None:
        """Refuses whoever may not make or end these, and what is no POST."""
        if request.method != "POST" or not self.has_add_permission(request):
            raise PermissionDenied

    def back_from(self, request: HttpRequest) -> HttpResponse:
        """To the page that the button stood on."""
        back = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
            back = self.list_address()
        return redirect(back)

    def ending(self, end: Callable[..., None]) -> Callable[..., HttpResponse]:
        """A view that ends the row of its address by `end(request, row)`."""

        def view(request: HttpRequest, object_id: int) -> HttpResponse:
            self.to_edit(request)
            end(request, self.found(request, object_id))
            return self.back_from(request)

        return view

    # --- The list -----------------------------------------------------------------------------------

    @display(description="What")
    def thing(self, row: Any) -> str:
        return hold_words.capital(hold_words.what(row))

    @display(description="Made")
    def made(self, row: Any) -> str:
        return format_html("{} by {}", time_cell(getattr(row, self.moment)), getattr(row, self.maker))
