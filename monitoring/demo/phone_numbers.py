"""The demo's phone numbers: put into the sandbox UponAI over HTTP, then imported like anybody's, then assigned.

UponAI comes first: a number that the sandbox lost is put there again, and every webhook points at this console.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import httpx
from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.models import User, Workspace
from accounts.scoping import scoped
from monitoring.demo import cast
from monitoring.demo.cast import Line
from policies import actions, asking
from policies.models import CountryPolicy, PhoneNumber, SyncTarget
from policies.sync import bindings, push
from policies.sync.importing import import_numbers
from policies.uponai.client import UponaiClient, UponaiTrouble

SECONDS = 10
LOOKS, LOOK_SECONDS = 20, 0.25
BEYOND_THE_LOG = 2_000_000_000  # only whether it answers is asked


class NoSandbox(Exception):
    """The address of UponAI is not that of a sandbox that can be reached with its key."""


def require_sandbox() -> None:
    """Raises NoSandbox. Nothing is ever seeded into a real UponAI account: it has no such path."""
    url = settings.UPONAI_API_URL
    try:
        answer = httpx.get(
            f"{url}/sandbox/log",
            params={"after": BEYOND_THE_LOG},
            headers=_headers(),
            timeout=SECONDS,
            trust_env=False,
        )
    except httpx.HTTPError as trouble:
        raise NoSandbox(f"The sandbox at {url} cannot be reached ({type(trouble).__name__}).") from None
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise NoSandbox(f"The sandbox at {url} refuses the key in SANDBOX_API_KEY.")
    if not answer.is_success:
        raise NoSandbox(f"UPONAI_API_URL is {url}, which is not a sandbox; the demo is seeded into a sandbox only.")


WEBHOOKS = ("inbound_webhook_url", "inbound_sms_webhook_url")


def _headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {settings.SANDBOX_API_KEY}"}


def provide(workspace: Workspace) -> int:
    """Puts the numbers into the sandbox that it does not have. Answers how many. Raises UponaiTrouble."""
    webhook = f"{settings.CONSOLE_URL}/hooks/{workspace.endpoint}/inbound"
    with scoped(workspace.pk):
        left = {number.e164 for number in PhoneNumber.objects.all() if _asks_another(number, workspace)}
    with UponaiClient(settings.SANDBOX_API_KEY) as client:
        there = {number["phone_number"]: number for number in client.list_phone_numbers()}
        # Only its port or this console's may have changed: what people set at UponAI is left alone.
        for line in cast.LINES:
            found = there.get(line.e164)
            if found and line.e164 not in left and any(found.get(name) != webhook for name in WEBHOOKS):
                client.update_phone_number(line.e164, dict.fromkeys(WEBHOOKS, webhook))
    missing = [line for line in cast.LINES if line.e164 not in there]
    if missing:
        _seed([_provider_number(line, webhook) for line in missing])
    return len(missing)


def ask_console(workspace: Workspace, *, acting_user: User, now: datetime) -> None:
    """This console is whom UponAI is to ask, at the address that it has today. What people put back is left alone."""
    with scoped(workspace.pk):
        numbers = [number for number in asking.numbers_there() if not _asks_another(number, workspace)]
    asking.ask_console(workspace=workspace, phone_numbers=numbers, acting_user=acting_user, now=now)


def _asks_another(number: PhoneNumber, workspace: Workspace) -> bool:
    return not number.asks_console and not bindings.is_ours(number.inbound_webhook_url, workspace.endpoint)


def listen(workspace: Workspace) -> None:
    """Lets the sandbox send its events here. Raises UponaiTrouble."""
    _control("PUT", "settings", {"events_url": f"{settings.CONSOLE_URL}/hooks/{workspace.endpoint}/events"})


def _seed(numbers: list[dict[str, Any]]) -> None:
    _control("POST", "numbers", {"numbers": numbers})


def _control(method: str, path: str, body: dict[str, Any]) -> None:
    url = f"{settings.UPONAI_API_URL}/sandbox/{path}"
    try:
        answer = httpx.request(method, url, json=body, headers=_headers(), timeout=SECONDS, trust_env=False)
    except httpx.HTTPError as trouble:
        raise UponaiTrouble(f"The sandbox cannot be reached ({type(trouble).__name__}).") from None
    if not answer.is_success:
        raise UponaiTrouble(f"The sandbox refuses the demo's {path} ({answer.status_code}): {answer.text[:200]}")


def _provider_number(line: Line, webhook: str) -> dict[str, Any]:
    return {
        "phone_number": line.e164,
        "nickname": line.nickname,
        "inbound_agents": _agents(line.inbound_agent),
        "outbound_agents": _agents(line.outbound_agent),
        "outbound_sms_agents": _agents(line.outbound_agent),
        **dict.fromkeys(WEBHOOKS, webhook),
    }


def _agents(agent: str) -> list[dict[str, Any]]:
    return [{"agent_id": agent, "weight": 1}] if agent else []


def bring_in(workspace: Workspace, *, acting_user: User, now: datetime) -> None:
    """Imports what the sandbox has. Raises UponaiTrouble."""
    import_numbers(workspace=workspace, acting_user=acting_user, now=now)


def assign(workspace: Workspace, policies: dict[str, CountryPolicy], *, acting_user: User, now: datetime) -> None:
    """Lets each number follow its policy, and the worker bring it to UponAI."""
    with scoped(workspace.pk):
        rows = {row.e164: row for row in PhoneNumber.objects.select_related("policy")}
    for line in cast.LINES:
        own = rows[line.e164].policy
        if own.name == line.policy:
            continue
        actions.assign_country_policy(
            phone_number=rows[line.e164], policy=policies[line.policy], acting_user=acting_user, now=now
        )
        _remove(own, acting_user=acting_user, now=now)


def _remove(policy: CountryPolicy, *, acting_user: User, now: datetime) -> None:
    """Removes the policy that a number was imported with a moment ago and that nothing follows any more."""
    with scoped(policy.workspace_id), transaction.atomic():
        if PhoneNumber.objects.filter(policy=policy).exists():
            return
        audit.record(
            workspace_id=policy.workspace_id,
            action="country_policy.remove",
            subject=policy,
            acting_user=acting_user,
            now=now,
            before={"name": policy.name},
            reason="Nothing followed it any more.",
        )
        CountryPolicy.objects.filter(pk=policy.pk).update(current_revision=None)
        policy.delete()


def change_behind(workspace: Workspace, *, now: datetime) -> None:
    """Brings one number to UponAI, then changes it there as somebody would in its dashboard; the sync finds it.

    Left out where a worker is not done with the number in time: the demo is as good without. Raises UponaiTrouble.
    """
    e164 = cast.CHANGED_BEHIND.e164
    with scoped(workspace.pk):
        target = SyncTarget.objects.get(phone_number__e164=e164)
    for _ in range(LOOKS):
        push.push(target.pk, clock=lambda: now)
        with scoped(workspace.pk):
            target.refresh_from_db()
        if target.state == SyncTarget.State.SYNCED and target.due_at is None:
            with UponaiClient(settings.SANDBOX_API_KEY) as client:
                client.update_phone_number(e164, {"allowed_outbound_country_list": list(cast.LEFT_THERE)})
            return
        time.sleep(LOOK_SECONDS)
