"""Tenant scoping that is enforced, not remembered.

Every tenant model's default manager narrows its rows to the current workspace and refuses to touch the
database when there is none. Who needs rows of several workspaces says why: `unscoped(reason=...)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import models


class UnscopedQuery(RuntimeError):
    """A query for tenant rows was run without a workspace."""


class ForeignWorkspace(RuntimeError):
    """Code that acts for one workspace was about to read or write a row of another."""


@dataclass(frozen=True, slots=True)
class Scope:
    """`workspace_id` None means rows of all workspaces, for the written `reason`."""

    workspace_id: int | None
    reason: str = ""


_current: ContextVar[Scope | None] = ContextVar("workspace_scope", default=None)


def current_scope() -> Scope | None:
    return _current.get()


def current_workspace_id() -> int:
    """The workspace being worked for. Raises UnscopedQuery where there is none."""
    scope = _current.get()
    if scope is None or scope.workspace_id is None:
        raise UnscopedQuery("There is no current workspace here; enter scoped(workspace_id) first.")
    return scope.workspace_id


@contextmanager
def scoped(workspace_id: int) -> Iterator[None]:
    token = _current.set(Scope(workspace_id))
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def unscoped(*, reason: str) -> Iterator[None]:
    if not reason:
        raise ValueError("unscoped() needs the reason in words.")
    token = _current.set(Scope(None, reason))
    try:
        yield
    finally:
        _current.reset(token)


class WorkspaceQuerySet(models.QuerySet[Any]):
    """Bound to a workspace as soon as one is known; run without one, it raises.

    Binding late, and refusing only when the database would be asked, lets Django build its forms and
    relations at import time from `_default_manager` as it does for any model.
    """

    _bound: Scope | None = None

    def bind(self) -> WorkspaceQuerySet:
        scope = _current.get()
        if self._bound:
            self._refuse_other_workspace(scope)
            return self
        if scope is None:
            return self
        bound = super()._chain()
        if scope.workspace_id is not None:
            bound.query.add_q(models.Q(workspace_id=scope.workspace_id))
        bound._bound = scope
        return bound

    bind.queryset_only = True  # type: ignore[attr-defined]

    def _clone(self) -> WorkspaceQuerySet:
        clone = super()._clone()
        clone._bound = self._bound
        return clone

    def _chain(self) -> WorkspaceQuerySet:
        bound = self.bind()
        return bound if bound is not self else super()._chain()

    def _refuse_other_workspace(self, scope: Scope | None) -> None:
        """A queryset that outlived its workspace, such as one in a class body, must not serve another."""
        here = scope.workspace_id if scope else None
        if here is not None and self._bound and self._bound.workspace_id != here:
            raise ForeignWorkspace(f"{self.model.__name__} rows bound to another scope were asked for.")

    def _require_scope(self) -> None:
        bound = self.bind()
        if self._bound:
            return
        if bound is self:
            raise UnscopedQuery(
                f"{self.model.__name__} rows were asked for without a workspace. "
                "Enter scoped(workspace_id), or unscoped(reason=...) where all workspaces are meant."
            )
        self.query, self._bound = bound.query, bound._bound

    # The doors through which a queryset reaches the database.

    def _fetch_all(self) -> None:
        if self._result_cache is None:
            self._require_scope()
        super()._fetch_all()

    def iterator(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        self._require_scope()
        return super().iterator(*args, **kwargs)

    def count(self) -> int:
        self._require_scope()
        return super().count()

    def exists(self) -> bool:
        self._require_scope()
        return super().exists()

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        self._require_scope()
        return super().aggregate(*args, **kwargs)

    def update(self, **kwargs: Any) -> int:
        self._require_scope()
        return super().update(**kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        self._require_scope()
        return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def explain(self, *args: Any, **kwargs: Any) -> str:
        self._require_scope()
        return super().explain(*args, **kwargs)

    # The doors through which rows come in: they must belong where the code says it works.

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[Any]:
        rows = list(objs)
        for row in rows:
            require_own_workspace(row)
        return super().bulk_create(rows, *args, **kwargs)

    def create(self, **kwargs: Any) -> Any:
        row = self.model(**kwargs)
        require_own_workspace(row)
        self._for_write = True
        row.save(force_insert=True, using=self.db)
        return row


def require_own_workspace(row: Any) -> None:
    """Raises UnscopedQuery or ForeignWorkspace unless `row` belongs to the current scope."""
    scope = _current.get()
    if scope is None:
        raise UnscopedQuery(f"A {type(row).__name__} was about to be written without a workspace.")
    if scope.workspace_id is None:
        return
    if row.workspace_id is None:
        row.workspace_id = scope.workspace_id
    if row.workspace_id != scope.workspace_id:
        raise ForeignWorkspace(f"A {type(row).__name__} of another workspace was about to be written.")


class BindingManager(models.Manager[Any]):
    """Binds at once where a workspace is known, so that a subquery of `objects.all()` is narrowed as well."""

    def get_queryset(self) -> Any:
        return super().get_queryset().bind()


WorkspaceManager = BindingManager.from_queryset(WorkspaceQuerySet, class_name="WorkspaceManager")


class WorkspaceModel(models.Model):
    """A row that belongs to one workspace."""

    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, editable=False)

    objects = WorkspaceManager()

    class Meta:
        abstract = True
