"""The life of a connection between a workspace and its UponAI account: begun with a key that was tried, ended with what
is wanted back at UponAI put back first.

Ending is work towards UponAI like any other: due rows, which survive whatever fails. Only when they are done,
`settle_disconnections` ends it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.conf import settings
from django.db import models

from accounts import audit
from accounts.audit import Acting
from accounts.countries import name_of
from accounts.models import UponaiKey, Workspace
from accounts.scoping import scoped, unscoped
from accounts.workspaces import bump_snapshot, set_uponai_key, taking_turns
from policies import asking, held, unjudging, widening
from policies.changes import make_due
from policies.engine.widenings import Widening
from policies.models import PhoneNumber, SyncTarget, UponaiConnection
from policies.rules_input import Refused
from policies.sync import bindings, lists
from policies.sync import connection as sync_connection
from policies.sync.lists import CountryLists
from policies.uponai.client import NOT_FOUND, UNAUTHORISED, UponaiClient, UponaiTrouble

SHORTEST_KEY: Final = 8
LONGEST_KEY: Final = 1000
FORBIDDEN: Final = 403
ROWS_AT_ONCE: Final = 200
VERIFIES_AFTERWARDS: Final = timedelta(days=30)
"""Where UponAI still asks this console about a number after all, its webhooks are believed for so long."""
NOT_LOOKED_AT: Final = (
    "The workspace is disconnected from UponAI: it had what was wanted when that ended, and nobody has looked since."
)


class PutBack(StrEnum):
    WEBHOOKS = "webhooks"
    LISTS = "lists"


@dataclass(frozen=True, slots=True)
class Account:
    """Whose key it is, as UponAI said a moment ago."""

    org_id: str
    org_name: str
    numbers: int


# --- Connecting -----------------------------------------------------------------------------------


def connect(
    *,
    workspace: Workspace,
    key: Any,
    acting_user: Acting,
    now: datetime,
    old_verifies_until: datetime | None = None,
) -> Account:
    """Tries the key at UponAI and, if that works, keeps it and uses it from now on. Raises Refused naming key.

    UponAI is asked before anything is written. The key before this one verifies webhooks until `old_verifies_until`.
    """
    account = check(key)
    adopt_key(
        workspace=workspace,
        key=key,
        account=account,
        acting_user=acting_user,
        now=now,
        old_verifies_until=old_verifies_until,
    )
    return account


def adopt_key(
    *,
    workspace: Workspace,
    key: str,
    account: Account,
    acting_user: Acting,
    now: datetime,
    old_verifies_until: datetime | None = None,
) -> None:
    """Keeps a key that was tried a moment ago, and begins the connection, or takes it up again. Raises Refused."""
    with taking_turns(workspace.pk):
        connection, _ = UponaiConnection.objects.get_or_create(workspace=workspace)
        _require_same_account(connection, account)
        set_uponai_key(
            workspace=workspace, key=key, acting_user=acting_user, now=now, old_verifies_until=old_verifies_until
        )
        again = connection.disconnect_asked_at is not None
        facts = {
            "org_id": account.org_id,
            "org_name": account.org_name,
            "disconnect_asked_at": None,
            "disconnected_at": None,
        }
        if again or connection.connected_at is None:
            facts["connected_at"] = now
        UponaiConnection.objects.filter(pk=connection.pk).update(**facts)
        if again:
            _want_everything_again(now=now)
        sync_connection.key_replaced(workspace.pk, now=now)
        audit.record(
            workspace_id=workspace.pk,
            action="workspace.connect",
            subject=workspace,
            acting_user=acting_user,
            now=now,
            after={"org_id": account.org_id, "org_name": account.org_name, "numbers": account.numbers},
        )


def check(key: Any) -> Account:
    """Asks UponAI whose key it is, and whether it may list the numbers. Raises Refused naming key."""
    if not isinstance(key, str) or not SHORTEST_KEY <= len(key) <= LONGEST_KEY or not _is_one_word(key):
        raise Refused.one(
            "key", "invalid", f"key must be one word of {SHORTEST_KEY} to {LONGEST_KEY} printable ASCII characters."
        )
    try:
        with UponaiClient(key) as client:
            told = client.get_account()
            org_id, org_name = told.get("org_id"), told.get("org_name")
            if not isinstance(org_id, str) or not org_id:
                raise _not_uponai("its answer does not name an account")
            numbers = sum(1 for _ in client.list_phone_numbers())
    except UponaiTrouble as trouble:
        raise _refusal(trouble) from None
    return Account(org_id[:120], org_name[:200] if isinstance(org_name, str) else "", numbers)


def _is_one_word(key: str) -> bool:
    return key.isascii() and key.isprintable() and " " not in key


def _refusal(trouble: UponaiTrouble) -> Refused:
    if trouble.status in (UNAUTHORISED, FORBIDDEN):
        words = f"key: UponAI refuses it ({trouble.status}). Copy it from UponAI's dashboard once more, whole."
        return Refused.one("key", "refused", words)
    if trouble.status in NOT_FOUND:
        return _not_uponai(f"it answers {trouble.status}")
    if "JSON" in str(trouble) or "agreed form" in str(trouble):
        return _not_uponai("its answer is not in the agreed form")
    code = "unreachable" if trouble.status is None else "not_checked"
    return Refused.one("key", code, f"key could not be tried, so nothing was changed: {trouble}")


def _not_uponai(why: str) -> Refused:
    words = f"key could not be tried: what answers at {settings.UPONAI_API_URL} does not speak as UponAI does, {why}."
    return Refused.one("key", "not_uponai", words)


def _require_same_account(connection: UponaiConnection, account: Account) -> None:
    """Another account has other numbers: that is another workspace."""
    if connection.org_id and connection.org_id != account.org_id:
        raise Refused.one(
            "key",
            "another_account",
            f"key belongs to {account.org_name or account.org_id} ({account.org_id}), and this workspace to "
            f"{connection.org_name or connection.org_id} ({connection.org_id}). Another account needs a workspace of "
            "its own.",
        )


def _want_everything_again(*, now: datetime) -> None:
    """What the console wanted before, but for webhooks that UponAI asks by itself by now."""
    ending = [number for number in PhoneNumber.objects.select_related("workspace") if number.put_back]
    for number in ending:
        endpoint = number.workspace.endpoint
        was_ours = number.put_back.keys() & bindings.WEBHOOKS.keys()
        still_ours = all(bindings.is_ours(getattr(number, name), endpoint) for name in was_ours)
        number.asks_console = number.asks_console or bool(was_ours and still_ours)
        number.put_back = {}
    PhoneNumber.objects.bulk_update(ending, ["asks_console", "put_back"], batch_size=ROWS_AT_ONCE)
    make_due(SyncTarget.objects.filter(phone_number__missing_since=None), now=now)


# --- Disconnecting --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leaving:
    """One number's part in it, in words: what stays at UponAI, and what is put back."""

    phone_number: str
    nickname: str
    details: tuple[str, ...]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """How many numbers get something back, how many have it, and which UponAI refused for good."""

    total: int
    done: int
    refused: tuple[str, ...] = ()


def plan_disconnecting(workspace: Workspace, put_back: Collection[str]) -> list[Leaving]:
    """What would be put back, number by number. Reads rows only."""
    return [_leaving(number, workspace.endpoint, put_back) for number in asking.numbers_there()]


def disconnect(
    *,
    workspace: Workspace,
    acting_user: Acting,
    now: datetime,
    put_back: Collection[str] = (),
    at_once: bool = False,
) -> UponaiConnection:
    """Begins to end the connection: puts back what is chosen, then ends it. `at_once`: without waiting for what is
    not put back yet. What it puts back may open something, and need a second person. Raises Refused, NeedsApproval.
    """
    unknown = sorted(set(put_back) - set(PutBack))
    if unknown:
        raise Refused.one("put_back", "invalid", f"put_back may name webhooks and lists, not {unknown[0]!r}.")
    with taking_turns(workspace.pk):
        connection, _ = UponaiConnection.objects.get_or_create(workspace=workspace)
        if connection.disconnected_at is not None:
            raise Refused.one("put_back", "disconnected", "This workspace is disconnected from UponAI already.")
        if connection.disconnect_asked_at is None:
            wish = unjudging.to_disconnect(put_back, at_once=at_once)
            opened = _begin(workspace, connection, put_back, acting_user=acting_user, now=now)
            widening.require(wish, opened, acting_user=acting_user, now=now)
        _end_if_done(workspace, at_once=at_once, acting_user=acting_user, now=now)
        connection.refresh_from_db()
    return connection


def stay_connected(*, workspace: Workspace, acting_user: Acting, now: datetime) -> bool:
    """Takes disconnecting back as long as it has not ended. Webhooks that were put back stay so until set again."""
    with taking_turns(workspace.pk):
        asked = UponaiConnection.objects.filter(disconnected_at=None).exclude(disconnect_asked_at=None)
        if not asked.update(disconnect_asked_at=None):
            return False
        _want_everything_again(now=now)
        audit.record(
            workspace_id=workspace.pk,
            action="workspace.stay_connected",
            subject=workspace,
            acting_user=acting_user,
            now=now,
        )
        bump_snapshot(workspace.pk)
    return True


def progress() -> Progress:
    """How far putting back is."""
    rows = SyncTarget.objects.filter(phone_number__missing_since=None).exclude(phone_number__put_back={})
    # What UponAI left unanswered may still undo it: looked at until that cannot be.
    waiting = rows.exclude(state=SyncTarget.State.SYNCED, verify_at=None)
    refused = rows.filter(state=SyncTarget.State.FAILED).values_list("phone_number__e164", flat=True)
    return Progress(rows.count(), rows.count() - waiting.count(), tuple(refused[:20]))


def settle_disconnections(*, now: datetime) -> int:
    """Ends the connections whose putting back is done. Answers how many."""
    with unscoped(reason="the sweep serves every workspace"):
        rows = UponaiConnection.objects.filter(disconnected_at=None).exclude(disconnect_asked_at=None)
        ending = list(Workspace.objects.filter(pk__in=rows.values("workspace_id")))
    ended = 0
    for workspace in ending:
        with taking_turns(workspace.pk):
            ended += _end_if_done(workspace, at_once=False, acting_user=None, now=now)
    return ended


def _leaving(number: PhoneNumber, endpoint: str, put_back: Collection[str]) -> Leaving:
    facts: dict[str, Any] = {"put_back": dict(number.put_back)}
    details: list[str] = []
    webhooks = asking.to_previous(number, endpoint)
    if PutBack.WEBHOOKS in put_back and webhooks:
        facts |= webhooks.facts
        details += webhooks.details
    elif webhooks:
        details.append("UponAI goes on asking this console about it.")
    if PutBack.LISTS in put_back and number.found.get("lists") is not None:
        facts["put_back"] = {**facts["put_back"], "lists": number.found["lists"]}
        details.append(_lists_words(number.found["lists"]))
    if number.closed_when_down and PutBack.WEBHOOKS not in put_back:
        details.append("No agent is bound to it: once this console does not answer, its calls are dropped.")
    return Leaving(number.e164, number.nickname, tuple(details), facts)


def _lists_words(found: dict[str, Any]) -> str:
    before = lists.put_back(found)
    inbound, outbound = _how_many(before.inbound), _how_many(before.outbound)
    return f"Its lists as they were found: called from {inbound}, calls {outbound}."


def _how_many(codes: tuple[str, ...] | None) -> str:
    if codes is None:
        return "every country"
    return name_of(codes[0]) if len(codes) == 1 else f"{len(codes)} countries"


def _begin(
    workspace: Workspace,
    connection: UponaiConnection,
    put_back: Collection[str],
    *,
    acting_user: Acting,
    now: datetime,
) -> list[Widening]:
    """Answers what that opens."""
    UponaiConnection.objects.filter(pk=connection.pk).update(disconnect_asked_at=now)
    before = _wanted_now(now) if PutBack.LISTS in put_back else {}
    changed = _give_back(workspace, put_back)
    make_due(asking.due_rows(changed), now=now)
    audit.record(
        workspace_id=workspace.pk,
        action="workspace.disconnect",
        subject=workspace,
        acting_user=acting_user,
        now=now,
        before={"org_id": connection.org_id, "org_name": connection.org_name},
        after={"put_back": sorted(put_back), "numbers": len(changed)},
    )
    bump_snapshot(workspace.pk)
    lists_back = [
        (number.e164, before[number.pk], lists.put_back(number.put_back["lists"]))
        for number in changed
        if "lists" in number.put_back and number.pk in before
    ]
    webhooks_back = [number for number in changed if number.put_back.keys() & bindings.WEBHOOKS.keys()]
    return [*unjudging.of_lists(lists_back), *unjudging.of_numbers(webhooks_back)]


def _wanted_now(now: datetime) -> dict[int, CountryLists]:
    """What UponAI is to have of each number, by its row."""
    holds, opens = held.of_lists(now), held.opens_of_lists(now)
    targets = SyncTarget.objects.select_related("phone_number__policy__current_revision")
    return {target.phone_number_id: lists.wanted(target, holds=holds, opens=opens) for target in targets}


def _give_back(workspace: Workspace, put_back: Collection[str]) -> Sequence[PhoneNumber]:
    if not put_back:
        return ()
    changed = []
    for number in asking.numbers_there():
        facts = _leaving(number, workspace.endpoint, put_back).facts
        if any(getattr(number, name) != value for name, value in facts.items()):
            for name, value in facts.items():
                setattr(number, name, value)
            changed.append(number)
    PhoneNumber.objects.bulk_update(changed, ["asks_console", "put_back"], batch_size=ROWS_AT_ONCE)
    return changed


def _end_if_done(workspace: Workspace, *, at_once: bool, acting_user: Acting, now: datetime) -> bool:
    asked = UponaiConnection.objects.filter(disconnected_at=None).exclude(disconnect_asked_at=None)
    now_done = progress()
    if (now_done.done < now_done.total and not at_once) or not asked.update(disconnected_at=now):
        return False
    # Nobody looks any more: what was so a moment ago is no claim that it is so.
    SyncTarget.objects.filter(state=SyncTarget.State.SYNCED).update(
        state=SyncTarget.State.UNKNOWN, error=NOT_LOOKED_AT, verify_at=None, due_at=None
    )
    asks_us = [number for number in asking.numbers_there() if asking.to_previous(number, workspace.endpoint)]
    verifies_until = now + VERIFIES_AFTERWARDS if asks_us else now
    UponaiKey.objects.filter(models.Q(verifies_until=None) | models.Q(verifies_until__gt=verifies_until)).update(
        verifies_until=verifies_until
    )
    audit.record(
        workspace_id=workspace.pk,
        action="workspace.disconnected",
        subject=workspace,
        acting_user=acting_user,
        now=now,
        after={
            "put_back": now_done.done,
            "not_put_back": now_done.total - now_done.done,
            "still_ask_here": len(asks_us),
        },
    )
    bump_snapshot(workspace.pk)
    return True


def connection_of(workspace_id: int) -> UponaiConnection:
    """The workspace's row, or an unsaved one where there is none yet."""
    with scoped(workspace_id):
        row: UponaiConnection | None = UponaiConnection.objects.first()
    return row or UponaiConnection(workspace_id=workspace_id)


def old_key_verifies_until(*, now: datetime) -> datetime | None:
    """Until when webhooks signed with a key that is not in use any more are believed; None where none is."""
    old = UponaiKey.objects.filter(verifies_until__gt=now).aggregate(until=models.Max("verifies_until"))
    return old["until"]  # type: ignore[no-any-return]


def has_key(workspace_id: int) -> bool:
    with scoped(workspace_id):
        return bool(UponaiKey.objects.filter(verifies_until=None).exists())
