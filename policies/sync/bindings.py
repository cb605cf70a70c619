"""Who answers a phone number at UponAI, where the console has a say in it: the webhooks that UponAI asks (see
`policies.connecting`) and the agents bound to it (see `policies.closing`).

Before a webhook becomes ours, the gate knows which one it was, and asks it behind ours. Before anything is unbound the
gate knows the agents, since from then on it is the gate that names them. It goes on naming them until they are seen
bound again. So no call finds nobody, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from redis.exceptions import RedisError

from accounts.models import Workspace
from accounts.workspaces import bump_snapshot
from policies.gate import store
from policies.models import PhoneNumber, UponaiConnection
from policies.uponai.answers import read_bindings
from policies.uponai.client import UponaiClient, UponaiTrouble

WEBHOOKS: Final = {"inbound_webhook_url": "chained_webhook_url", "inbound_sms_webhook_url": "chained_sms_webhook_url"}
"""What UponAI calls its two webhooks, and ours, where the one before is asked behind the console's."""
LONGEST_URL: Final = PhoneNumber._meta.get_field("chained_webhook_url").max_length


def changes(number: PhoneNumber, client: UponaiClient) -> dict[str, Any]:
    """What the number's update has to say of its webhooks and agents; mostly nothing. Raises UponaiTrouble."""
    wanted = wanted_webhooks(number)
    to_send = {name: url for name, url in wanted.items() if (getattr(number, name) or None) != url}
    ends = bool(number.put_back.keys() & WEBHOOKS.keys())
    closes = number.closed_when_down and not ends
    shown: dict[str, Any] = {}
    if closes or (to_send and number.asks_console):
        shown = client.get_phone_number(number.e164)
    if to_send and number.asks_console:
        _remember(number, shown)
    if closes:
        return to_send | _unbinding(number, shown | to_send)
    return to_send | ({"inbound_agents": number.answering_agents} if number.answering_agents else {})


def settle(number: PhoneNumber, sent: dict[str, Any], shown: dict[str, Any], *, unsure: bool = False) -> None:
    """Notes what UponAI shows after an update. Raises UponaiTrouble where that is not what was sent.

    `unsure`: an earlier request may still be carried out, so that what was put back stays wanted; see `given_back`.
    """
    _settle_webhooks(number, sent, shown)
    if not unsure:
        given_back(number)
    if "inbound_agents" not in sent:
        return
    bound, wanted = _ids(read_bindings(shown)), _ids(sent["inbound_agents"] or [])
    if bound != wanted:
        raise UponaiTrouble("UponAI said yes, but still shows other agents bound to the number.")
    rows = PhoneNumber.objects.filter(pk=number.pk)
    rows.update(inbound_agents=bound)
    gives_back = rows if number.put_back.keys() & WEBHOOKS.keys() else rows.filter(closed_when_down=False)
    if wanted and gives_back.update(answering_agents=[], closed_when_down=False):
        # Nothing hurries: an agent that is named and bound as well is the same agent.
        bump_snapshot(number.workspace_id)


# --- Webhooks -------------------------------------------------------------------------------------


def wanted_webhooks(number: PhoneNumber, endpoint: str = "") -> dict[str, str | None]:
    """The webhooks as UponAI is to have them; nothing where the console has no say in them.

    `endpoint`: the workspace's, from who looks at many numbers.
    """
    put_back = {name: number.put_back[name] or None for name in WEBHOOKS if name in number.put_back}
    if put_back or not number.asks_console:
        return put_back
    return dict.fromkeys(WEBHOOKS, address_of(endpoint or endpoint_of(number.workspace_id)))


def webhooks_differ(number: PhoneNumber, shown: Mapping[str, Any], endpoint: str = "") -> bool:
    """Whether UponAI asks others than it is to ask."""
    return any((shown.get(name) or None) != url for name, url in wanted_webhooks(number, endpoint).items())


def address_of(endpoint: str) -> str:
    return f"{settings.CONSOLE_URL}/hooks/{endpoint}/inbound"


def endpoint_of(workspace_id: int) -> str:
    return Workspace.objects.values_list("endpoint", flat=True).get(pk=workspace_id)


def is_ours(webhook_url: object, endpoint: str) -> bool:
    """Whether UponAI asks this console about calls to a number with this webhook."""
    try:
        return urlsplit(str(webhook_url or "")).path == f"/hooks/{endpoint}/inbound"
    except ValueError:
        return False


def chained_after(number: PhoneNumber, name: str, before: str, endpoint: str) -> str:
    """What is asked behind ours once it has replaced `before`: never ourselves, and never another than the one that
    was named by hand."""
    chained = str(getattr(number, WEBHOOKS[name]))
    by_hand = chained and chained != number.found.get(name)
    return chained if by_hand or not before or is_ours(before, endpoint) else before


def _remember(number: PhoneNumber, shown: dict[str, Any]) -> None:
    """Chains what UponAI asks at this moment, which may be another than when somebody decided."""
    endpoint = endpoint_of(number.workspace_id)
    found, chained = dict(number.found), {}
    for name, ours in WEBHOOKS.items():
        before = str(shown.get(name) or "")
        if len(before) > LONGEST_URL:
            raise UponaiTrouble(f"The {name} that UponAI has now is too long to be asked behind ours.", permanent=True)
        chained[ours] = chained_after(number, name, before, endpoint)
        if not is_ours(before, endpoint):
            found[name] = before or None
    if found == number.found and all(getattr(number, ours) == url for ours, url in chained.items()):
        return
    number.found = found
    _tell_gate(number, {"found": found, **chained}, "The webhook stays as it is until the live store answers:")


def _settle_webhooks(number: PhoneNumber, sent: dict[str, Any], shown: dict[str, Any]) -> None:
    seen = {name: str(shown.get(name) or "")[:LONGEST_URL] for name in WEBHOOKS}
    if any(getattr(number, name) != url for name, url in seen.items()):
        PhoneNumber.objects.filter(pk=number.pk).update(**seen)
    if any((shown.get(name) or None) != sent[name] for name in WEBHOOKS if name in sent):
        raise UponaiTrouble("UponAI said yes, but still shows another webhook.")
    if number.put_back.keys() & WEBHOOKS.keys() and webhooks_differ(number, shown):
        # An older request of ours came after somebody had decided otherwise.
        raise UponaiTrouble("UponAI asks another webhook again; the one of before is sent once more.")


def given_back(number: PhoneNumber) -> None:
    """UponAI asks the webhooks of before by itself again, and nothing of ours is under way that could undo it."""
    webhooks = {name: url for name, url in number.put_back.items() if name in WEBHOOKS}
    if not webhooks:
        return
    chained = {WEBHOOKS[name]: "" for name, url in webhooks.items() if getattr(number, WEBHOOKS[name]) == url}
    kept = {name: value for name, value in number.put_back.items() if name not in WEBHOOKS}
    if UponaiConnection.objects.exclude(disconnect_asked_at=None).exists():
        kept = number.put_back  # what is put back stays wanted until the connection has ended, and is counted
    rows = PhoneNumber.objects.filter(pk=number.pk, asks_console=False, put_back=number.put_back)
    with transaction.atomic():
        if rows.update(put_back=kept, **chained):
            bump_snapshot(number.workspace_id)


def _tell_gate(number: PhoneNumber, facts: dict[str, Any], otherwise: str) -> None:
    """Writes what the gate must know before UponAI is told, and waits until it does. Raises UponaiTrouble."""
    with transaction.atomic():
        version = bump_snapshot(number.workspace_id)
        PhoneNumber.objects.filter(pk=number.pk).update(**facts)
    try:
        store.publish_version(number.workspace_id, version)
    except RedisError:
        raise UponaiTrouble(f"{otherwise} without it, some process might not yet know.") from None


# --- Agents ---------------------------------------------------------------------------------------


def _unbinding(number: PhoneNumber, shown: dict[str, Any]) -> dict[str, Any]:
    bound = read_bindings(shown)
    if not bound:
        return {}
    _require_our_webhook(number, shown)
    facts = {"answering_agents": bound, "inbound_agents": _ids(bound)}
    _tell_gate(number, facts, "The agents stay bound until the live store answers:")
    return {"inbound_agents": None}


def _require_our_webhook(number: PhoneNumber, shown: dict[str, Any]) -> None:
    """Without our webhook nobody would name an agent, and every call would be dropped."""
    if not is_ours(shown.get("inbound_webhook_url"), endpoint_of(number.workspace_id)):
        raise UponaiTrouble(
            "Its agents stay bound: UponAI asks another webhook about calls to this number, so nobody would name the "
            "agent, and every call would be dropped. Set this console's webhook at UponAI first.",
            permanent=True,
        )


def _ids(agents: list[dict[str, Any]]) -> list[str]:
    return [str(agent["agent_id"]) for agent in agents]
