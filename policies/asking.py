"""Whom UponAI asks about the calls and messages of a number: this console, on request, or whom it asked before.

The webhook of before is asked behind ours, so that setting ours breaks nothing. `sync.bindings` carries it to UponAI.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from accounts import audit
from accounts.audit import Acting, Note
from accounts.models import Workspace
from accounts.workspaces import bump_snapshot, taking_turns
from policies import unjudging, widening
from policies.answering import url_problem, without_secrets
from policies.changes import make_due
from policies.models import PhoneNumber, SyncTarget
from policies.rules_input import Refused
from policies.sync import bindings, connection
from policies.sync.connection import Standing

KINDS: Final = {"inbound_webhook_url": "calls", "inbound_sms_webhook_url": "messages"}
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
CHANGED: Final = ("asks_console", "put_back", "found", *bindings.WEBHOOKS.values())
ROWS_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class WebhookChange:
    """What would become of one number's webhooks, in words. With a `problem` it is left as it is."""

    phone_number: str
    nickname: str
    details: tuple[str, ...]
    problem: str = ""
    facts: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """The numbers that change, and those that were left as they are since somebody has to decide first."""

    changed: tuple[WebhookChange, ...] = ()
    left: tuple[WebhookChange, ...] = ()
    unchanged: int = 0


# --- Beforehand -----------------------------------------------------------------------------------


def address(workspace: Workspace) -> str:
    return bindings.address_of(workspace.endpoint)


def way_in_problem() -> str:
    """Why UponAI cannot reach this console; empty where it should be able to."""
    console, uponai = urlsplit(settings.CONSOLE_URL), urlsplit(settings.UPONAI_API_URL)
    if (uponai.hostname or "") in LOOPBACK:
        return ""
    if (console.hostname or "") in LOOPBACK:
        return (
            f"UponAI cannot reach {settings.CONSOLE_URL}: that is an address within this machine. Set CONSOLE_URL to "
            "the console's public address first."
        )
    if console.scheme != "https":
        return f"UponAI cannot reach {settings.CONSOLE_URL}: a webhook needs https. Set CONSOLE_URL first."
    return ""


def plan_console(workspace: Workspace, numbers: Iterable[PhoneNumber]) -> Asked:
    """What asking this console about these numbers would change. Reads no more rows, writes none."""
    return _sorted([_to_console(number, workspace) for number in numbers])


def plan_previous(workspace: Workspace, numbers: Iterable[PhoneNumber]) -> Asked:
    """What asking the webhooks of before would change."""
    return _sorted([to_previous(number, workspace.endpoint) for number in numbers])


def numbers_there(e164s: Sequence[str] | None = None) -> list[PhoneNumber]:
    """The numbers that UponAI still lists: these, or all. Raises Refused naming one that is not ours."""
    rows = PhoneNumber.objects.filter(missing_since=None).order_by("e164")
    if e164s is None:
        return list(rows)
    wanted = set(e164s)
    found = [row for row in rows if row.e164 in wanted]
    unknown = sorted(wanted - {row.e164 for row in found})
    if unknown:
        raise Refused.one("phone_numbers", "not_found", f"{unknown[0][:40]} is no number of this workspace at UponAI.")
    return found


def require_connected(workspace: Workspace, *, now: datetime) -> None:
    """Raises Refused where there is nobody to send it to: it would be sent unasked once there is somebody again."""
    said = connection.standing(workspace.pk, now=now)
    if said.standing in (Standing.NO_KEY, Standing.DISCONNECTED):
        raise Refused.one("", "uponai", said.sentence)


# --- Verbs ----------------------------------------------------------------------------------------


def ask_console(
    *,
    workspace: Workspace,
    phone_numbers: Sequence[PhoneNumber],
    acting_user: Acting,
    now: datetime,
    even_if_unreachable: bool = False,
) -> Asked:
    """Has UponAI ask this console, and the console whom UponAI asked before. Raises Refused."""
    problem = way_in_problem()
    if problem and not even_if_unreachable:
        raise Refused.one("console_url", "unreachable", problem)
    require_connected(workspace, now=now)
    with taking_turns(workspace.pk):
        asked = plan_console(workspace, _locked(phone_numbers))
        _carry_out(workspace, asked, "phone_number.ask_console", acting_user=acting_user, now=now)
    return asked


def ask_previous(
    *, workspace: Workspace, phone_numbers: Sequence[PhoneNumber], acting_user: Acting, now: datetime
) -> Asked:
    """Has UponAI ask by itself whom the console asks behind its own verdict: the numbers are judged no longer.

    That may need a second person. Raises Refused, NeedsApproval.
    """
    require_connected(workspace, now=now)
    with taking_turns(workspace.pk):
        numbers = _locked(phone_numbers)
        asked = plan_previous(workspace, numbers)
        wish = unjudging.to_ask_previous(numbers)
        _carry_out(workspace, asked, "phone_number.ask_previous", acting_user=acting_user, now=now)
        changed = {change.phone_number for change in asked.changed}
        left_alone = [number for number in numbers if number.e164 in changed]
        widening.require(wish, unjudging.of_numbers(left_alone), acting_user=acting_user, now=now)
    return asked


def leave_webhooks(*, phone_number: PhoneNumber, acting_user: Acting, now: datetime) -> bool:
    """Takes for wanted whom UponAI was last seen to ask. False where it asks nobody else than it is to.

    Due, though it is there: an update of ours that is under way may still set the console's webhook once more.
    """
    with taking_turns(phone_number.workspace_id):
        number = PhoneNumber.objects.select_for_update().get(pk=phone_number.pk)
        if not asks_another(number):
            return False
        wish = unjudging.to_leave_webhooks(number)
        put_back = number.put_back | {name: getattr(number, name) or None for name in bindings.WEBHOOKS}
        PhoneNumber.objects.filter(pk=number.pk).update(asks_console=False, put_back=put_back)
        make_due(due_rows([number]), now=now)
        due_rows([number]).update(reasserted_at=[], drift_since=None)
        audit.record(
            workspace_id=number.workspace_id,
            action="phone_number.leave_webhooks",
            subject=number,
            acting_user=acting_user,
            now=now,
            before={"asks_console": number.asks_console},
            after={name: without_secrets(getattr(number, name)) for name in bindings.WEBHOOKS},
        )
        bump_snapshot(number.workspace_id)
        widening.require(wish, unjudging.of_numbers([number]), acting_user=acting_user, now=now)
    return True


def asks_another(number: PhoneNumber) -> bool:
    """Whether UponAI was last seen to ask others than it is to ask."""
    return bindings.webhooks_differ(number, {name: getattr(number, name) for name in bindings.WEBHOOKS})


def _locked(numbers: Sequence[PhoneNumber]) -> list[PhoneNumber]:
    wanted = {number.pk for number in numbers}
    rows = PhoneNumber.objects.select_for_update().filter(missing_since=None).order_by("pk")
    if len(wanted) <= ROWS_AT_ONCE:
        rows = rows.filter(pk__in=wanted)
    return [row for row in rows if row.pk in wanted]


def _carry_out(workspace: Workspace, asked: Asked, action: str, *, acting_user: Acting, now: datetime) -> None:
    e164s = [change.phone_number for change in asked.changed]
    if not e164s:
        return
    rows = {row.e164: row for row in PhoneNumber.objects.all() if row.e164 in set(e164s)}
    notes = []
    for change in asked.changed:
        row = rows[change.phone_number]
        before = {name: without_secrets(getattr(row, name)) for name in bindings.WEBHOOKS}
        for name, value in change.facts.items():
            setattr(row, name, value)
        wanted = bindings.wanted_webhooks(row, workspace.endpoint)
        after = {name: without_secrets(url or "") for name, url in wanted.items()}
        chained = {name: without_secrets(getattr(row, name)) for name in bindings.WEBHOOKS.values()}
        notes.append(Note(action, row, before=before, after={**after, **chained}))
    audit.record_all(workspace_id=workspace.pk, notes=notes, acting_user=acting_user, now=now)
    PhoneNumber.objects.bulk_update(rows.values(), CHANGED, batch_size=ROWS_AT_ONCE)
    make_due(due_rows(rows.values()), now=now)
    bump_snapshot(workspace.pk)


def due_rows(numbers: Iterable[PhoneNumber]) -> Any:
    return SyncTarget.objects.filter(phone_number__in=[number.pk for number in numbers])


# --- One number -----------------------------------------------------------------------------------


def _to_console(number: PhoneNumber, workspace: Workspace) -> WebhookChange | None:
    ours, endpoint = address(workspace), workspace.endpoint
    keeps = {name: value for name, value in number.put_back.items() if name not in bindings.WEBHOOKS}
    same = all(getattr(number, name) == ours for name in KINDS)
    if same and number.asks_console and keeps == number.put_back:
        return None
    facts: dict[str, Any] = {"asks_console": True, "put_back": keeps, "found": dict(number.found)}
    details = []
    for name, what in KINDS.items():
        before = getattr(number, name)
        chained = bindings.chained_after(number, name, before, endpoint)
        problem = _conflict(number, name, before, chained, endpoint)
        if problem:
            return WebhookChange(number.e164, number.nickname, (), problem)
        facts[bindings.WEBHOOKS[name]] = chained
        if not bindings.is_ours(before, endpoint):
            facts["found"][name] = before or None
        details.append(_console_words(what, before, chained, endpoint))
    return WebhookChange(number.e164, number.nickname, tuple(details), facts=facts)


def _conflict(number: PhoneNumber, name: str, before: str, chained: str, endpoint: str) -> str:
    if not before or bindings.is_ours(before, endpoint):
        return ""
    if chained != before:
        return (
            f"About {KINDS[name]} UponAI asks {without_secrets(before)}, and on the number's page "
            f"{without_secrets(chained)} is named to be asked behind the console. Only one can be: take that one away "
            "there, or set it at UponAI, then ask again."
        )
    problem = url_problem("Its webhook", before, number.workspace_id)
    return f"{without_secrets(before)} could not be asked behind the console: {problem}" if problem else ""


def _console_words(what: str, before: str, chained: str, endpoint: str) -> str:
    behind = f" {without_secrets(chained)} is asked behind it." if chained else ""
    if bindings.is_ours(before, endpoint):
        return f"About {what}: this console, as now.{behind}"
    return f"About {what}: this console instead of {without_secrets(before) or 'no webhook'}.{behind}"


def to_previous(number: PhoneNumber, endpoint: str) -> WebhookChange | None:
    """Also for a number that asks us since somebody entered our address at UponAI by hand."""
    asks_us = [name for name in KINDS if number.asks_console or bindings.is_ours(getattr(number, name), endpoint)]
    if not asks_us:
        return None
    put_back, details = dict(number.put_back), []
    for name in asks_us:
        previous = getattr(number, bindings.WEBHOOKS[name]) or number.found.get(name) or ""
        put_back[name] = previous or None
        details.append(f"About {KINDS[name]}: {without_secrets(previous) or 'no webhook'} instead of this console.")
    if number.closed_when_down or number.answering_agents:
        details.append("Its agents are bound again at UponAI, since nobody else would name them.")
    facts = {"asks_console": False, "put_back": put_back}
    if facts == {"asks_console": number.asks_console, "put_back": number.put_back}:
        return None
    return WebhookChange(number.e164, number.nickname, tuple(details), facts=facts)


def _sorted(changes: list[WebhookChange | None]) -> Asked:
    there = [change for change in changes if change is not None]
    return Asked(
        changed=tuple(change for change in there if not change.problem),
        left=tuple(change for change in there if change.problem),
        unchanged=len(changes) - len(there),
    )
