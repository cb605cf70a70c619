"""Whether a token's scopes cover a request. Each view says which resource it is about; nothing is open by default."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.models import ApiToken
from accounts.tokens import RESOURCES, grants


def scope_of(view: Any, method: str) -> str | None:
    """The scope that `method` needs at a view, such as `phone-numbers:write`; None for a view that named none.

    `scope_verbs` of a view tells where a method other than GET only reads.
    """
    resource = getattr(view, "scope_resource", None)
    if resource not in RESOURCES:
        return None
    verbs: dict[str, str] = getattr(view, "scope_verbs", {})
    action = getattr(view, "action", None) or ""
    verb = verbs.get(action) or ("read" if method in SAFE_METHODS else "write")
    return f"{resource}:{verb}"


class HasScope(BasePermission):
    code = "scope_missing"
    message = "This address is open to no token."

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.auth, ApiToken):
            return False
        scope = scope_of(view, request.method or "")
        if scope is None:
            return False
        self.message = f"This token lacks the scope {scope}."
        return grants(request.auth, scope)
