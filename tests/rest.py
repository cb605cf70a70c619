"""What tests of the REST API share: a client with a token, and what a problem must look like."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

from accounts.models import Workspace
from tests.factories import make_token


def client_of(workspace: Workspace, *scopes: str) -> APIClient:
    """Speaks for `workspace`, with every scope when none is named."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(workspace, *scopes)}")
    return client


def assert_problem(response: Any, status: int, *fields: str) -> dict[str, Any]:
    """`response` is a problem with this status that names exactly `fields`; answers its body."""
    fields = fields or (("If-Match",) if status == 412 else ())
    body: dict[str, Any] = response.json()
    assert response.status_code == status, body
    assert response["Content-Type"] == "application/problem+json"
    assert body.keys() == {"type", "title", "status", "detail", "errors"}
    assert body["status"] == status
    assert body["type"].startswith("/api/docs/problems#")
    assert [error["field"] for error in body["errors"]] == list(fields)
    assert all(error.keys() == {"field", "code", "detail"} and error["detail"] for error in body["errors"])
    return body
