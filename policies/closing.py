"""Whether a call is dropped or answered while this console does not answer.

UponAI lets the bound agent answer when our webhook fails, so a closed number has none: the console names the agent
with every answer. `sync.bindings` carries it through at UponAI.
"""

from __future__ import annotations

from datetime import datetime

from accounts.audit import Acting
from accounts.workspaces import taking_turns
from policies.changes import make_due, tell
from policies.models import PhoneNumber, SyncTarget
from policies.rules_input import Refused

ANSWERED, DROPPED = "answered", "dropped"

NO_AGENT = (
    "No agent is bound to this number at UponAI, and none was before it was closed here. Bind one at UponAI; then its "
    "calls are answered when the console is down."
)


def close_when_down(*, phone_number: PhoneNumber, acting_user: Acting, now: datetime) -> bool:
    """Has the number's agents unbound at UponAI, and named by the gate instead. False where it was closed already."""
    with taking_turns(phone_number.workspace_id):
        number = PhoneNumber.objects.select_for_update().get(pk=phone_number.pk)
        if number.closed_when_down:
            return False
        _close(number, True, acting_user=acting_user, now=now)
    return True


def reopen(*, phone_number: PhoneNumber, acting_user: Acting, now: datetime) -> bool:
    """Has the agents bound again that were bound before. False where it was open already. Raises Refused."""
    with taking_turns(phone_number.workspace_id):
        number = PhoneNumber.objects.select_for_update().get(pk=phone_number.pk)
        if not number.answering_agents and not number.inbound_agents:
            raise Refused.one("inbound_when_console_down", "no_agent", NO_AGENT)
        if not number.closed_when_down:
            return False
        _close(number, False, acting_user=acting_user, now=now)
    return True


def _close(number: PhoneNumber, closed: bool, *, acting_user: Acting, now: datetime) -> None:
    number.closed_when_down = closed
    number.save(update_fields=["closed_when_down"])
    tell(
        number.workspace_id,
        action="phone_number.close_when_down" if closed else "phone_number.reopen_when_down",
        subject=number,
        acting_user=acting_user,
        now=now,
        before={"closed_when_down": not closed},
        after={"closed_when_down": closed},
    )
    make_due(SyncTarget.objects.filter(phone_number=number), now=now)
