"""Lists that can be taken away as files: the links beside the filters, and the files, of the rows as filtered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify

from accounts import exports
from accounts.admin.base import ConsoleAdmin, acting
from accounts.admin.keyset import PLACE_VAR, KeysetList, KeysetPaginator

# Extension: what a person calls it, its media type, who writes it.
FORMATS: dict[str, tuple[str, str, Callable[..., Any]]] = {
    "csv": ("CSV", "text/csv; charset=utf-8", exports.as_csv),
    "jsonl": ("JSON lines", "application/jsonl", exports.as_json_lines),
}
LONGEST_FILTER = 200


class ExportedList(ConsoleAdmin):
    """A record of what happened, with an export of what its filters leave: looked at and taken away, never written.

    The first of `ordering` is the moment of a row.
    """

    # Counting all rows would take longer than reading the newest fifty.
    paginator = KeysetPaginator
    show_facets = admin.ShowFacets.NEVER
    export_columns: Sequence[str] = ()
    most_exported = exports.MOST_ROWS

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetList]:
        return KeysetList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def export_facts(self, row: Any) -> exports.Facts:
        """The row as the REST interface shows it."""
        raise NotImplementedError(f"{type(self).__name__} does not say how a row is exported.")

    def export_chunk(self, rows: list[Any]) -> list[exports.Facts]:
        return [self.export_facts(row) for row in rows]

    def list_name(self, request: HttpRequest) -> str:
        return str(self.opts.verbose_name_plural).capitalize()

    def own_urls(self) -> list[tuple[str, str, Callable[..., HttpResponse]]]:
        routes = [
            (f"export.{extension}", f"export_{extension}", partial(self.export_view, extension=extension))
            for extension in FORMATS
        ]
        return [*super().own_urls(), *routes]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        query = request.GET.copy()
        for name in (PAGE_VAR, PLACE_VAR, ERROR_FLAG):
            query.pop(name, None)
        context = {
            "title": self.list_name(request),
            "exports": [
                {"title": title, "href": f"{self._export_url(extension)}?{query.urlencode()}".rstrip("?")}
                for extension, (title, _media_type, _write) in FORMATS.items()
            ],
            "most_exported": self.most_exported,
        }
        return super().changelist_view(request, context | (extra_context or {}))

    def export_view(self, request: HttpRequest, *, extension: str) -> Any:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return redirect(f"{reverse(f'admin:{self._prefix()}_changelist')}?{ERROR_FLAG}=1")
        listing = exports.Listing(
            name=self.list_name(request),
            rows=rows,
            moment=str(self.ordering[0]).lstrip("-"),
            facts=self.export_chunk,
            columns=self.export_columns,
        )
        return self._file(request, listing, extension)

    def _file(self, request: HttpRequest, listing: exports.Listing, extension: str) -> StreamingHttpResponse:
        workspace = request.workspace  # type: ignore[attr-defined]
        _title, media_type, write = FORMATS[extension]
        filters = {name: str(value)[:LONGEST_FILTER] for name, value in request.GET.items() if value}
        count, is_capped = exports.record_export(
            workspace=workspace,
            listing=listing,
            filters=filters,
            file_format=extension,
            most_rows=self.most_exported,
            **acting(request),
        )
        newest = f"-newest-{count}" if is_capped else ""
        name = f"{workspace.slug}-{slugify(listing.name)}-{timezone.localdate():%Y-%m-%d}{newest}.{extension}"
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingHttpResponse(write(listing, workspace.pk, count), content_type=media_type, headers=disposition)

    def _export_url(self, extension: str) -> str:
        return reverse(f"admin:{self._prefix()}_export_{extension}")

    def _prefix(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}"
