"""`create_workspace`: founds a workspace with its UponAI key, a default policy and, if named, an owner."""

from __future__ import annotations

import getpass
import os
import sys
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from accounts import members, workspaces
from accounts.models import User, Workspace
from accounts.roles import Role
from policies import actions, connecting
from policies.connecting import Account

KEY_VARIABLE = "UPONAI_KEY"
PASSWORD_VARIABLE = "OWNER_PASSWORD"  # noqa: S105  (the variable's name)
LONGEST_SECRET = 1000


class Command(BaseCommand):
    help = (
        "Makes a workspace. The UponAI key is better not written on the command line, where others on this "
        f"machine can read it: give --uponai-key - and the key on standard input, or {KEY_VARIABLE}_FILE."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--slug", required=True, help="Its name in commands: lower-case letters, digits, hyphens.")
        parser.add_argument("--name", required=True, help="Its name on pages.")
        parser.add_argument("--home-country", required=True, metavar="US", help="ISO 3166-1 alpha-2.")
        parser.add_argument("--time-zone", default="UTC", metavar="Europe/Berlin")
        parser.add_argument("--uponai-key", metavar="KEY", help="The private key, or - to read it from standard input.")
        parser.add_argument("--owner-email", help=f"Who owns it; {PASSWORD_VARIABLE} holds their first password.")

    def handle(self, *args: Any, **options: Any) -> None:
        key = _uponai_key(options["uponai_key"])
        account, doubt = _tried(key)
        password = _password(options["owner_email"])
        try:
            with transaction.atomic():
                workspace = _found(options, key, account, password, now=timezone.now())
        except ValidationError as problem:
            raise CommandError(" ".join(_sentences(problem))) from None
        except actions.Refused as refused:
            raise CommandError(str(refused)) from None
        if doubt:
            self.stderr.write(f"The workspace is founded, but its UponAI key is not in order: {doubt}")
        self.stdout.write(workspace.slug)
        self.stdout.write(f"/hooks/{workspace.endpoint}/inbound")
        self.stdout.write(f"/hooks/{workspace.endpoint}/events")


def _tried(key: str) -> tuple[Account | None, str]:
    """The account of the key, or why there is none. A workspace may be founded before UponAI can be reached."""
    try:
        return connecting.check(key), ""
    except actions.Refused as refused:
        return None, str(refused)


def _found(options: dict[str, Any], key: str, account: Account | None, password: str, *, now: datetime) -> Workspace:
    workspace = workspaces.create_workspace(
        slug=options["slug"],
        name=options["name"],
        home_country=options["home_country"].strip().upper(),
        time_zone=options["time_zone"],
        acting_user=None,
        now=now,
    )
    if account is None:
        workspaces.set_uponai_key(workspace=workspace, key=key, acting_user=None, now=now)
    else:
        connecting.adopt_key(workspace=workspace, key=key, account=account, acting_user=None, now=now)
    at_home = {"mode": "list", "countries": [workspace.home_country.code]}
    policy = actions.create_country_policy(
        workspace_id=workspace.pk,
        name="Home country only",
        inbound=at_home,
        outbound=at_home,
        acting_user=None,
        now=now,
    )
    actions.make_default(policy=policy, acting_user=None, now=now)
    if options["owner_email"]:
        members.admit_member(
            workspace=workspace,
            email=options["owner_email"],
            role=Role.OWNER,
            acting_user=None,
            now=now,
            password=password,
        )
    return workspace


def _uponai_key(given: str | None) -> str:
    key = "" if given == "-" else given or from_environment(KEY_VARIABLE)
    if not key and (given == "-" or not sys.stdin.isatty()):
        key = first_line(sys.stdin.readline())
    if not key:
        raise CommandError(
            f"The UponAI key is missing: give --uponai-key KEY, or write the key to standard input, "
            f"or {KEY_VARIABLE}_FILE with the path of a file that holds it."
        )
    if len(key) > LONGEST_SECRET or not key.isascii() or not key.isprintable() or " " in key:
        raise CommandError("The UponAI key must be one word of printable ASCII characters.")
    return key


def _password(email: str | None) -> str:
    """The first password of an owner who has no account yet; nobody else needs one."""
    if not email or User.objects.filter(email=User.objects.normalize_email(email)).exists():
        return ""
    password = from_environment(PASSWORD_VARIABLE)
    if not password and sys.stdin.isatty():
        password = getpass.getpass(f"First password of {email}: ")
    return password


def from_environment(name: str) -> str:
    """A secret from the variable itself, or from the file that NAME_FILE names."""
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return os.environ.get(name, "")
    try:
        return first_line(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as problem:
        reason = getattr(problem, "strerror", None) or "it is not text"
        raise CommandError(f"{name}_FILE: {path} cannot be read: {reason}.") from None


def first_line(text: str) -> str:
    return text.strip().partition("\n")[0].strip()


def _sentences(problem: ValidationError) -> list[str]:
    if not hasattr(problem, "error_dict"):
        return problem.messages
    return [f"{name}: {' '.join(messages)}" for name, messages in problem.message_dict.items()]
