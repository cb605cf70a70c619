"""The way back from UponAI: when a webhook of its, verified by signature, last reached the gate. Reads rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from policies.engine.names import Channel, Direction, Reason
from policies.models import Decision

KINDS = {Channel.PHONE_CALL: "a call", Channel.SMS: "a message"}


@dataclass(frozen=True, slots=True)
class Reached:
    """The newest call or message that UponAI asked us about."""

    at: datetime
    phone_number: str
    channel: str

    @property
    def what(self) -> str:
        return KINDS[Channel(self.channel)]


def newest(phone_number: str = "") -> Reached | None:
    """Of the workspace, or of one number. A client of the judging door shows a credential; UponAI shows a signature."""
    rows = Decision.objects.filter(direction=Direction.INBOUND, credential="").exclude(reason=Reason.BAD_SIGNATURE)
    rows = rows.filter(channel__in=KINDS)  # UponAI asks about nothing else
    if phone_number:
        rows = rows.filter(phone_number=phone_number)
    found = rows.order_by("-at").values_list("at", "phone_number", "channel").first()
    return Reached(*found) if found else None
