"""What the page "UponAI" says: whose account it is, how many numbers ask this console, whether UponAI gets through."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.urls import reverse

from accounts.admin.display import as_people_write
from accounts.components import Action, Sentence
from accounts.models import UponaiKey, Workspace
from policies import asking, connecting, reached
from policies.connecting import PutBack
from policies.models import PhoneNumber, UponaiConnection
from policies.reached import Reached
from policies.sync import bindings, importing
from policies.sync import connection as sync_connection
from policies.sync.connection import Standing

MOST_ROWS = 200
"""A table of what would change shows so many numbers; the sentence above counts them all."""
STAYS = (
    "Country lists stay at UponAI as they are now, and go on holding there, unless you have those put back that were "
    "found.",
    "Webhooks stay too, number by number, unless you have those of before put back. Where UponAI still asks this "
    f"console, calls are judged for {connecting.VERIFIES_AFTERWARDS.days} days more; then UponAI lets the bound agent "
    "answer.",
    "Running calls go on. Nothing is ended.",
    "Numbers, policies, decisions and the audit log stay here, and you can connect again.",
)


def facts(
    workspace: Workspace, *, now: datetime, may_see_key: bool, may_connect: bool, may_change: bool
) -> dict[str, Any]:
    """Everything on the page. The addresses are for those alone who may see the key."""
    connection = connecting.connection_of(workspace.pk)
    numbers = list(PhoneNumber.objects.only("e164", "asks_console", "missing_since", *bindings.WEBHOOKS))
    return {
        "connection": connection,
        "now": now,
        "is_ending": connection.disconnect_asked_at is not None and connection.disconnected_at is None,
        "is_connected": _is_connected(connection, workspace),
        "may_see_key": may_see_key,
        "keys": UponaiKey.objects.order_by("-created_at")[:5],
        "may_connect": may_connect,
        "may_change": may_change,
        "has_numbers": bool(numbers),
        "flagged": PhoneNumber.objects.exclude(flagged_since=None).count(),
        "flagged_href": f"{reverse('admin:policies_phonenumber_changelist')}?flagged=yes",
        "address": asking.address(workspace),
        "events": f"{asking.address(workspace).removesuffix('inbound')}events",
        "way_in_problem": asking.way_in_problem(),
        "workspace": workspace,
        **live(workspace, connection, numbers, now=now),
    }


def live(
    workspace: Workspace, connection: UponaiConnection, numbers: Iterable[PhoneNumber], *, now: datetime
) -> dict[str, Any]:
    """What changes by itself: the sentence, the way back, how far putting back is."""
    there = [number for number in numbers if number.missing_since is None]
    said = sync_connection.standing(workspace.pk, now=now)
    last, done = reached.newest(), connecting.progress()
    sentence = _sentence(workspace, connection, said, there)
    seen = [sentence, last, done, said.sentence]
    return {
        "sentence": sentence,
        "reached": last,
        "reached_words": reached_words(last),
        "progress": done,
        "seen": f"{zlib.crc32(repr(seen).encode()):08x}",
    }


def reached_words(last: Reached | None) -> str:
    return f"{last.what} to {as_people_write(last.phone_number)}" if last else ""


def _is_connected(connection: UponaiConnection, workspace: Workspace) -> bool:
    return connection.disconnected_at is None and connecting.has_key(workspace.pk)


def _sentence(
    workspace: Workspace,
    connection: UponaiConnection,
    said: sync_connection.Said,
    numbers: list[PhoneNumber],
) -> Sentence:
    if connection.disconnected_at is not None:
        return Sentence(
            "warning", f"Disconnected from {_account(connection)}.", "Nothing is sent to UponAI. You can connect again."
        )
    if said.standing is Standing.NO_KEY:
        text = "Not connected to UponAI yet."
        return Sentence("unknown", text, "Enter the private key of your UponAI account; it is tried before it is kept.")
    if connection.disconnect_asked_at is not None:
        return Sentence("notice", f"Being disconnected from {_account(connection)}.", _ending_detail())
    if said.standing is Standing.KEY_REFUSED:
        return Sentence("danger", "UponAI refuses the key.", "Nothing reaches UponAI until there is another one.")
    detail = _who_is_asked(numbers, workspace.endpoint)
    if said.standing is Standing.BLOCKED:
        return Sentence("warning", f"Connected to {_account(connection)}; {said.sentence}", detail)
    if any(not bindings.is_ours(number.inbound_webhook_url, workspace.endpoint) for number in numbers):
        # What does not ask is not judged: that comes before that the connection as such is well.
        return Sentence(
            "warning", detail, f"Nothing judges the calls of those here. Connected to {_account(connection)}."
        )
    return Sentence("quiet", f"Connected to {_account(connection)}.", detail)


def _account(connection: UponaiConnection) -> str:
    if not connection.org_id:
        return connection.org_name or "UponAI"
    return f"{connection.org_name} as {connection.org_id}" if connection.org_name else connection.org_id


def _ending_detail() -> str:
    done = connecting.progress()
    if done.refused:
        refused = ", ".join(as_people_write(e164) for e164 in done.refused[:3])
        return f"{done.done} of {done.total} numbers have it back. UponAI refuses it for {refused}."
    return f"{done.done} of {done.total} numbers have back what they had before. Then it ends by itself."


def _who_is_asked(numbers: list[PhoneNumber], endpoint: str) -> str:
    if not numbers:
        return "No numbers have been imported yet."
    others = [number for number in numbers if not bindings.is_ours(number.inbound_webhook_url, endpoint)]
    there = "1 number" if len(numbers) == 1 else f"{len(numbers):,} numbers"
    if not others:
        return f"{there}, all of which ask this console about calls."
    if len(others) == len(numbers):
        return f"{there}, none of which asks this console about calls."
    verb = "does" if len(others) == 1 else "do"
    return f"{len(others):,} of {there} {verb} not ask this console about calls."


# --- What would change ----------------------------------------------------------------------------


def webhooks_preview(workspace: Workspace, wanted: str) -> dict[str, Any]:
    numbers = asking.numbers_there()
    plan = asking.plan_console if wanted == "console" else asking.plan_previous
    asked = plan(workspace, numbers)
    rows = [_row(change.phone_number, change.nickname, change.details) for change in asked.changed[:MOST_ROWS]]
    left = [_row(change.phone_number, change.nickname, (change.problem,)) for change in asked.left[:MOST_ROWS]]
    return {
        "wanted": wanted,
        "count": len(asked.changed),
        "left_count": len(asked.left),
        "unchanged": asked.unchanged,
        "rows": rows,
        "left": left,
        "more": max(0, len(asked.changed) - MOST_ROWS),
    }


def disconnecting_preview(workspace: Workspace) -> dict[str, Any]:
    everything = connecting.plan_disconnecting(workspace, tuple(PutBack))
    rows = [_row(one.phone_number, one.nickname, one.details) for one in everything if one.details]
    return {"stays": STAYS, "rows": rows[:MOST_ROWS], "more": max(0, len(rows) - MOST_ROWS), "count": len(rows)}


def _row(e164: str, nickname: str, details: Iterable[str]) -> dict[str, Any]:
    return {"number": as_people_write(e164), "e164": e164, "nickname": nickname, "details": list(details)}


def import_preview(workspace: Workspace) -> dict[str, Any]:
    """Raises UponaiTrouble, NoUponaiKey."""
    plan = importing.preview_import(workspace=workspace)
    rows = [
        {
            "number": as_people_write(change.phone_number),
            "e164": change.phone_number,
            "nickname": change.nickname,
            "change": change.change,
            "details": change.details,
        }
        for change in plan.changes[:MOST_ROWS]
    ]
    return {
        "plan": plan,
        "rows": rows,
        "more": max(0, len(plan.changes) - MOST_ROWS),
        "action": Action("Import", reverse("admin:policies_uponaiconnection_import"), "primary", "download", post=True),
    }
