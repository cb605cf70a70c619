"""What waits for somebody, one line each: what may be an attack, what UponAI does not have as wanted, and queues."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse

from monitoring.dashboards import links
from monitoring.dashboards.pulse import MOST_COUNTED, Pulse
from policies.models import SyncTarget

_State = SyncTarget.State


@dataclass(frozen=True, slots=True)
class Matter:
    """One line, in the shape of components/_open_matters.html."""

    count: str
    text: str
    href: str
    tone: str


@dataclass(frozen=True, slots=True)
class SyncLine:
    """How many numbers UponAI has as wanted, and when that was looked at."""

    text: str
    href: str
    checked: datetime | None
    in_order: bool


def open_matters(pulse: Pulse, *, sees_kyc: bool, now: datetime) -> tuple[Matter, ...]:
    """The most pressing first; empty when nothing is open."""
    found = [*_dangers(pulse), *_sync(pulse)]
    if pulse.approvals:
        text = f"change{'s wait' if pulse.approvals != 1 else ' waits'} for a second person"
        found.append(Matter(_most(pulse.approvals), text, _list("policies_proposedchange"), "warning"))
    if pulse.kyc_waiting and sees_kyc:
        found.append(_kyc(pulse, now))
    return tuple(found)


def sync_line(pulse: Pulse) -> SyncLine | None:
    """One line about UponAI, also when all is well; None without a number."""
    if not pulse.numbers:
        return None
    open_ones = pulse.failed + pulse.drift + pulse.pending + pulse.unknown
    if open_ones:
        in_order = f"{pulse.numbers - open_ones:,} of {_most(pulse.numbers)}"
        text = f"{in_order} phone numbers are at UponAI as this console says."
    elif pulse.numbers == 1:
        text = "The one phone number is at UponAI as this console says."
    else:
        text = f"All {_most(pulse.numbers)} phone numbers are at UponAI as this console says."
    return SyncLine(text, reverse("admin:policies_synctarget_changelist"), pulse.sync_checked, not open_ones)


def numbers_out_of_step(pulse: Pulse) -> str:
    return _numbers(_State.FAILED if pulse.failed else _State.DRIFT)


def numbers_that_drift() -> str:
    return _numbers(_State.DRIFT)


def _dangers(pulse: Pulse) -> Iterator[Matter]:
    """What somebody may be using against us at this moment."""
    if pulse.key_leaks:
        text = f"place{'s' * (pulse.key_leaks != 1)} showed the private UponAI key: replace it at UponAI, then here"
        yield Matter(_most(pulse.key_leaks), text, _list("accounts_workspace"), "danger")
    if pulse.ungated:
        what = "call or chat" if pulse.ungated == 1 else "calls and chats"
        text = f"{what} at UponAI did not pass the gate in 24 hours"
        yield Matter(_most(pulse.ungated), text, links.ungated(), "danger")
    if pulse.alerts:
        yield _alerts(pulse)
    if pulse.refused_webhooks:
        many = "s" * (pulse.refused_webhooks != 1)
        text = f"webhook{many} refused in 24 hours: is UponAI's key here still the right one?"
        yield Matter(_most(pulse.refused_webhooks), text, _list("accounts_workspace"), "danger")


def _alerts(pulse: Pulse) -> Matter:
    text, tone, worst = f"alert{'s' * (pulse.alerts != 1)} not seen", "danger", pulse.worst_alert
    if worst:
        text += f": {worst.sentence}" if pulse.alerts == 1 else f", the gravest: {worst.sentence}"
        tone = worst.tone
    return Matter(_most(pulse.alerts), text, links.alerts(), tone)


def _sync(pulse: Pulse) -> Iterator[Matter]:
    for state, count, tone, said in (
        (_State.FAILED, pulse.failed, "danger", "could not be configured at UponAI"),
        (_State.DRIFT, pulse.foreign, "danger", "changed at UponAI by somebody else"),
        (_State.DRIFT, pulse.drift - pulse.foreign, "notice", "sent to UponAI once more, which did not do as asked"),
        (_State.PENDING, pulse.pending, "notice", "waiting for UponAI"),
        (_State.UNKNOWN, pulse.unknown, "warning", "not compared with UponAI yet"),
    ):
        if count:
            yield Matter(_most(count), f"phone number{'s' * (count != 1)} {said}", _numbers(state), tone)


def _kyc(pulse: Pulse, now: datetime) -> Matter:
    hours = int((now - pulse.kyc_oldest).total_seconds() // 3600) if pulse.kyc_oldest else 0
    age = f"{hours // 24} days" if hours >= 48 else f"{hours} h" if hours else "less than an hour"
    text = f"KYC case{'s' * (pulse.kyc_waiting != 1)} waiting for review, the oldest for {age}"
    return Matter(_most(pulse.kyc_waiting), text, _list("accounts_kycrecord"), "warning")


def _most(count: int) -> str:
    return f"{count:,}" if count < MOST_COUNTED else f"{MOST_COUNTED:,} or more"


def _list(model: str) -> str:
    return reverse(f"admin:{model}_changelist")


def _numbers(state: str) -> str:
    query = urlencode({"sync_target__state__exact": state})
    return f"{_list('policies_phonenumber')}?{query}"
