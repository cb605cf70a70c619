"""The agents bound to a phone number at UponAI, where the console unbinds them: see `policies.closing`.

Before anything is unbound the gate knows the agents, since from then on it is the gate that names them. It goes on
naming them until they are seen bound again. So no call finds nobody, whichever comes first.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from redis.exceptions import RedisError

from accounts.models import Workspace
from accounts.workspaces import bump_snapshot
from policies.gate import store
from policies.models import PhoneNumber
from policies.uponai.answers import read_bindings
from policies.uponai.client import UponaiClient, UponaiTrouble


def changes(number: PhoneNumber, client: UponaiClient) -> dict[str, Any]:
    """What the number's update has to say of its agents; mostly nothing. Raises UponaiTrouble."""
    if number.closed_when_down:
        return _unbinding(number, client.get_phone_number(number.e164))
    return {"inbound_agents": number.answering_agents} if number.answering_agents else {}


def settle(number: PhoneNumber, sent: dict[str, Any], shown: dict[str, Any]) -> None:
    """Notes what UponAI shows after an update. Raises UponaiTrouble where that is not what was sent."""
    if "inbound_agents" not in sent:
        return
    bound, wanted = _ids(read_bindings(shown)), _ids(sent["inbound_agents"] or [])
    if bound != wanted:
        raise UponaiTrouble("UponAI said yes, but still shows other agents bound to the number.")
    rows = PhoneNumber.objects.filter(pk=number.pk)
    rows.update(inbound_agents=bound)
    if wanted and rows.filter(closed_when_down=False).update(answering_agents=[]):
        # Nothing hurries: an agent that is named and bound as well is the same agent.
        bump_snapshot(number.workspace_id)


def is_ours(webhook_url: object, endpoint: str) -> bool:
    """Whether UponAI asks this console about calls to a number with this webhook."""
    try:
        return urlsplit(str(webhook_url or "")).path == f"/hooks/{endpoint}/inbound"
    except ValueError:
        return False


def _unbinding(number: PhoneNumber, shown: dict[str, Any]) -> dict[str, Any]:
    bound = read_bindings(shown)
    if not bound:
        return {}
    _require_our_webhook(number, shown)
    with transaction.atomic():
        version = bump_snapshot(number.workspace_id)
        PhoneNumber.objects.filter(pk=number.pk).update(answering_agents=bound, inbound_agents=_ids(bound))
    try:
        store.publish_version(number.workspace_id, version)
    except RedisError:
        raise UponaiTrouble(
            "The agents stay bound until the live store answers: without it, some process might not yet name them."
        ) from None
    return {"inbound_agents": None}


def _require_our_webhook(number: PhoneNumber, shown: dict[str, Any]) -> None:
    """Without our webhook nobody would name an agent, and every call would be dropped."""
    endpoint = Workspace.objects.values_list("endpoint", flat=True).get(pk=number.workspace_id)
    if not is_ours(shown.get("inbound_webhook_url"), endpoint):
        raise UponaiTrouble(
            "Its agents stay bound: UponAI asks another webhook about calls to this number, so nobody would name the "
            "agent, and every call would be dropped. Set this console's webhook at UponAI first.",
            permanent=True,
        )


def _ids(agents: list[dict[str, Any]]) -> list[str]:
    return [str(agent["agent_id"]) for agent in agents]
