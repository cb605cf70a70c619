"""What the page of a phone number says about how it is answered, and the two forms there. Knows no request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from accounts.models import Workspace
from policies import answering, asking, closing, reached
from policies.gate import chaining
from policies.models import PhoneNumber
from policies.rules_input import Refused
from policies.sync import bindings

LISTS_HOLD: Final = "Its own country list and the seven countries that are always blocked still hold."
TRANSFERS: Final = (
    "Where a call is transferred to is judged as well, if UponAI tells: switch on transfer_started among the webhook "
    "events of the agent, where it is off by default."
)
SAVED, SAME = "How calls are answered is saved.", "How calls are answered is as it was."

Told = tuple[str, str]
"""A sentence and its tone."""


def facts(number: PhoneNumber, *, now: datetime, may_change: bool) -> dict[str, Any]:
    fields = {name: getattr(number, name) for name in answering.FIELDS}
    if not may_change:
        fields = {name: answering.without_secrets(value) for name, value in fields.items()}
    is_chained = bool(number.chained_webhook_url or number.chained_sms_webhook_url)
    return {
        **fields,
        "mode_label": number.get_mode_display(),
        "modes": PhoneNumber.Mode.choices,
        "record": chaining.record_of(number.workspace_id, number.e164, now=now) if is_chained else None,
        "is_chained": is_chained,
        "asked": asked(number),
        "reached": reached.newest(number.e164),
        "ask": _ask_button(number) if may_change and not number.missing_since else None,
        "transfers": TRANSFERS,
        "down": when_down(number),
    }


def asked(number: PhoneNumber) -> str:
    """Whom UponAI asks about its calls, and whether that is on its way to be otherwise."""
    endpoint = bindings.endpoint_of(number.workspace_id)
    if number.asks_console and not bindings.is_ours(number.inbound_webhook_url, endpoint):
        return "UponAI is to ask this console about calls and messages; that is on its way."
    if bindings.is_ours(number.inbound_webhook_url, endpoint):
        return "UponAI asks this console about calls."
    other = answering.without_secrets(number.inbound_webhook_url) or "no webhook"
    return f"UponAI asks {other} about calls, so the console judges none of them."


def _ask_button(number: PhoneNumber) -> dict[str, str] | None:
    """The button that changes whom UponAI asks, and what it would do."""
    workspace = number.workspace
    if number.asks_console or bindings.is_ours(number.inbound_webhook_url, workspace.endpoint):
        plan, wanted, label = asking.plan_previous(workspace, [number]), "previous", "Ask the webhook of before"
    else:
        plan, wanted, label = asking.plan_console(workspace, [number]), "console", "Ask this console"
    if not plan.changed or (wanted == "console" and asking.way_in_problem()):
        return None
    return {"wanted": wanted, "label": label, "confirm": " ".join(plan.changed[0].details)}


def change_asking(number: PhoneNumber, wanted: str, **who: Any) -> Told:
    verb = asking.ask_console if wanted == "console" else asking.ask_previous
    try:
        asked = verb(workspace=number.workspace, phone_numbers=[number], **who)
    except Refused as refusal:
        return f"Nothing was changed. {refusal}", "warning"
    if asked.left:
        return f"Nothing was changed. {asked.left[0].problem}", "warning"
    return ("That is on its way to UponAI.", "quiet") if asked.changed else ("That is so already.", "notice")


def when_down(number: PhoneNumber) -> dict[str, str]:
    """What becomes of a call while the console does not answer, and the button that changes it."""
    endpoint = Workspace.objects.values_list("endpoint", flat=True).get(pk=number.workspace_id)
    bound, named = _listed(number.inbound_agents), _listed(agent["agent_id"] for agent in number.answering_agents)
    if number.closed_when_down:
        return _closed(number, bound, named)
    if named:
        text = f"Dropped until UponAI has bound {named} again; that is on its way."
        return {"text": text}
    if not bound:
        return {
            "text": "Dropped. No agent is bound to the number at UponAI, so a call that nobody judges is not answered."
        }
    text = (
        f"Answered. UponAI asks the console again some times; then it lets the agent that is bound to the number "
        f"({bound}) take the call, judged by nobody. {LISTS_HOLD}"
    )
    if not bindings.is_ours(number.inbound_webhook_url, endpoint):
        other = "another webhook" if number.inbound_webhook_url else "no webhook"
        text = (
            f"Answered. UponAI asks {other} about calls to this number, so the console judges none of them and the "
            f"agent that is bound ({bound}) answers. {LISTS_HOLD}"
        )
        return {"text": text}
    return {
        "text": text,
        "wanted": closing.DROPPED,
        "label": "Drop calls instead",
        "confirm": f"The agents ({bound}) are unbound at UponAI, and the console names one with every answer. While it "
        "is down, nobody who calls this number is answered, wanted callers included.",
    }


def _closed(number: PhoneNumber, bound: str, named: str) -> dict[str, str]:
    text = (
        f"Soon dropped: {bound} is being unbound at UponAI, and the console names the agent with every answer."
        if bound
        else "Dropped. No agent is bound to the number at UponAI, so a call that nobody judges is not answered. "
        f"The console names {named or 'no agent'} with every answer."
    )
    again = named or bound
    if not again:
        return {"text": text}
    return {
        "text": text,
        "wanted": closing.ANSWERED,
        "label": "Answer calls instead",
        "confirm": f"{again} is bound again at UponAI. While the console is down it takes every call that UponAI's own "
        "lists let through, judged by nobody.",
    }


def _listed(agents: Any) -> str:
    return ", ".join(str(agent) for agent in agents)


def change_when_down(number: PhoneNumber, wanted: str, **who: Any) -> Told:
    try:
        if wanted == closing.DROPPED:
            changed = closing.close_when_down(phone_number=number, **who)
            done = "Calls are dropped while the console is down, as soon as UponAI has unbound the agents."
        else:
            changed = closing.reopen(phone_number=number, **who)
            done = "Calls are answered while the console is down, as soon as UponAI has bound the agents again."
    except Refused as refusal:
        return str(refusal), "warning"
    return (done, "quiet") if changed else ("That is so already.", "notice")


def change_answering(number: PhoneNumber, posted: Mapping[str, str], **who: Any) -> Told:
    given = {name: posted[name] for name in answering.FIELDS if name in posted}
    try:
        changed = answering.edit_answering(phone_number=number, **given, **who)
    except Refused as refusal:
        return f"Nothing was changed. {refusal}", "warning"
    return SAVED if changed else SAME, "quiet"
