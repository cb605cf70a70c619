"""What tests of the console's pages share: a signed-in browser's client, and reading messages."""

from __future__ import annotations

from typing import Any

from django.contrib.messages import get_messages
from django.test import Client

from accounts.models import Workspace
from accounts.roles import Role
from tests.factories import make_member


def signed_in(workspace: Workspace, role: Role = Role.OWNER) -> Client:
    """A member of `workspace` in a browser."""
    client = Client()
    client.force_login(make_member(workspace, role))
    return client


def messages_of(response: Any) -> str:
    """What the person is told after the redirect."""
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def in_place(client: Client, address: str, **fields: str) -> Any:
    """Posts as the page's own script does, which gets a fresh part of the page."""
    return client.post(address, fields, headers={"HX-Request": "true"})
