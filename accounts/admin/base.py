"""What every admin page of the console has in common: rights by role, verbs instead of saves, our own audit.

Pages change nothing themselves; they call verbs and show what these refuse beside the field it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import update_wrapper
from typing import Any, TypedDict

from django.contrib import admin
from django.contrib.auth import admin as auth_admin  # noqa: F401  (registers Group, taken out again below)
from django.contrib.auth.models import Group
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import models
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from accounts.models import User

# Rights follow from a person's role in a workspace; Django's groups have no say here.
admin.site.unregister(Group)

Problems = Mapping[str, list[str]]
"""What is wrong with an edit, by form field; NON_FIELD_ERRORS for the edit as a whole."""


class Actor(TypedDict):
    acting_user: User
    now: datetime


def acting(request: HttpRequest) -> Actor:
    """Who acts, and when: what every verb wants to know."""
    return {"acting_user": request.user, "now": timezone.now()}  # type: ignore[typeddict-item]


class VerbForm(ModelForm):
    """A form whose `problems` were found by the verb that its values were given to."""

    problems: Problems = {}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for field, sentences in self.problems.items():
            known = field if field in self.fields else None
            for sentence in sentences:
                self.add_error(known, sentence)
        return cleaned


class ConsoleList(ChangeList):
    """A list that knows its full count without asking again when nothing narrows it."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.full_result_count is None and not (self.query or self.has_active_filters):
            self.full_result_count = self.result_count


class ConsoleAdmin(ModelAdmin):
    """An admin page that changes things through verbs: `run_verb` instead of `save_model`."""

    form = VerbForm
    refusals: tuple[type[Exception], ...] = (ValidationError,)
    show_full_result_count = False
    empty_words: Mapping[str, str] = {"icon": "inbox", "title": "Nothing here yet"}
    """What an empty list says: `icon`, `title`, and `text`, how to get something there."""
    counted: tuple[str, str] = ("", "")
    """What a list counts, one and several, where it is not called as its model is."""
    list_per_page = 50
    view_on_site = False
    save_as = False
    compressed_fields = True
    warn_unsaved_form = True

    # --- Verbs instead of saves -------------------------------------------------------------------

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> Any:
        """Does what the form asks for, and answers the row it is about."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its form is carried out.")

    def problems_of(self, refusal: Any) -> Problems:
        """A refusal by form field."""
        return getattr(refusal, "message_dict", None) or {NON_FIELD_ERRORS: list(refusal.messages)}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.pk = self.run_verb(request, obj, form, creating=not change).pk

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        context = {"show_save_and_add_another": False, "show_save_and_continue": False} | (extra_context or {})
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except self.refusals as refusal:
            # The transaction is undone; the same page again shows what the verb found wrong.
            request.problems = self.problems_of(refusal)  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"problems": getattr(request, "problems", {})})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ConsoleList

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    # --- The audit log is ours ----------------------------------------------------------------------

    def log_addition(self, *args: Any, **kwargs: Any) -> None:
        """Verbs write the audit entry; Django's own log is not kept."""

    log_change = log_deletion = log_deletions = log_addition

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        log = reverse("admin:accounts_auditentry_changelist")
        return redirect(f"{log}?object_type__exact={self.opts.label_lower}&object_id__exact={object_id}")

    # --- Pages of one's own -------------------------------------------------------------------------

    def own_urls(self) -> list[tuple[str, str, Callable[..., HttpResponse]]]:
        """Further addresses as (route, name, view); the name follows "app_model_"."""
        return []

    def get_urls(self) -> list[URLPattern]:
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        own = [path(route, self._door(view), name=prefix + name) for route, name, view in self.own_urls()]
        return own + super().get_urls()

    def _door(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if is_htmx(request) and not self.admin_site.has_permission(request):
                # A sign-in page must not appear inside a panel: the whole page goes there instead.
                return HttpResponse(headers={"HX-Refresh": "true"})
            return self.admin_site.admin_view(view)(request, *args, **kwargs)

        return update_wrapper(guarded, view)

    def found(self, request: HttpRequest, object_id: Any) -> Any:
        """The row of the current workspace, for a person who may see it; 404 for any other."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, str(object_id))
        if row is None:
            raise Http404(f"There is no such {self.opts.verbose_name} in this workspace.")
        return row

    def found_to_change(self, request: HttpRequest, object_id: Any) -> Any:
        """The row, for a person who may change it by POST."""
        if request.method != "POST" or not self.has_change_permission(request):
            raise PermissionDenied
        return self.found(request, object_id)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        raise Http404(f"There is no such {opts.verbose_name} in this workspace.")

    def page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
        """A whole page in the console's frame."""
        frame = self.admin_site.each_context(request)
        return TemplateResponse(request, template, {**frame, "opts": self.opts, **context})

    def change_url(self, row: models.Model) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])


def is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"
