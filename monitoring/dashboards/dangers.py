"""What is open now and may do harm, the worst first: what the home page's first sentence is about, if there is any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import IntEnum
from typing import Any

from django.urls import reverse

from accounts.components import Action, Sentence
from monitoring.dashboards import drawing, links
from monitoring.dashboards.matters import numbers_out_of_step, numbers_that_drift
from monitoring.dashboards.pulse import Pulse, UnseenAlert
from monitoring.models import Alert


class Rank(IntEnum):
    """The order in which these things are told. A spike of what got through costs money at this moment."""

    LEAK = 0
    SPIKE_THROUGH = 1
    GRAVE_ALERT = 2
    KEY_REFUSED = 3
    WIDENED = 4
    UNGATED = 5
    BEHIND = 6
    SPIKE_STOPPED = 7
    ALERT = 8
    NOT_AS_WANTED = 9


@dataclass(frozen=True, slots=True)
class Danger:
    """`also` is what is said of it behind something worse, as a part of a sentence."""

    rank: Rank
    sentence: Sentence
    also: str


def dangers(pulse: Pulse, *, now: datetime, zone: tzinfo) -> list[Danger]:
    return sorted(_present(pulse, now, zone), key=lambda one: one.rank)


def first_of(found: Sequence[Danger], *, amounts: str) -> Sentence:
    """The worst in full, the others in its detail, and what was counted today."""
    worst, *others = found
    also = f"Also: {'; '.join(one.also for one in others)}." if others else ""
    said = f"{amounts}." if amounts else ""
    detail = " ".join(part for part in (worst.sentence.detail, also, said) if part)
    return Sentence(worst.sentence.tone, worst.sentence.text, detail, worst.sentence.actions)


def _present(pulse: Pulse, now: datetime, zone: tzinfo) -> Iterator[Danger]:
    leak = pulse.worst_alert if pulse.worst_alert and pulse.worst_alert.is_leak else None
    if leak:
        yield _leak(leak, now, zone)
    if pulse.key_leaks:
        yield _shown(pulse.key_leaks)
    if pulse.key_refused_at:
        yield _key_refused()
    if pulse.alerts and pulse.worst_alert:
        told = leak is not None or (pulse.worst_alert.kind == Alert.Kind.KEY_REFUSED and pulse.key_refused_at)
        yield from _alerts(pulse.worst_alert, pulse.alerts, is_told=bool(told))
    if pulse.widened:
        yield _widened(pulse)
    if pulse.ungated and not leak:
        yield _ungated(pulse.ungated)
    if pulse.wrong > pulse.widened:
        yield _not_as_wanted(pulse)


def _leak(alert: UnseenAlert, now: datetime, zone: tzinfo) -> Danger:
    calls, since, spent = _figures(alert.details, now, zone)
    what = "1 call or chat" if calls == 1 else f"{drawing.count(calls)} calls and chats" if calls else "Calls"
    text = f"UponAI's private key is probably in other hands: {what}{since} did not pass the gate{spent}."
    detail = "No policy was asked about them. Make a new key at UponAI, enter it here, then delete the old one there."
    look = Action("Look at them", alert.path or links.ungated(), "primary")
    return Danger(Rank.LEAK, Sentence("danger", text, detail, (look, _all_alerts())), "the private key is used")


def _figures(details: Any, now: datetime, zone: tzinfo) -> tuple[int, str, str]:
    """What the alert has counted; empty words for what it does not tell."""
    told = details if isinstance(details, dict) else {}
    calls, usd, first = told.get("calls"), told.get("usd"), told.get("first_at")
    since = ""
    if isinstance(first, str):
        local = datetime.fromisoformat(first).astimezone(zone)
        is_today = local.date() == now.astimezone(zone).date()
        since = f" since {local:%H:%M}" if is_today else f" since {local:%-d %b %H:%M}"
    return calls if isinstance(calls, int) else 0, since, f", ${usd:,.2f}" if usd else ""


def _shown(places: int) -> Danger:
    where = "1 place" if places == 1 else f"{drawing.count(places)} places"
    text = f"The private UponAI key was shown in {where}: whoever saw it can call with it."
    detail = "Make a new key at UponAI, enter it here, then delete the old one there."
    look = Action("Look", reverse("admin:accounts_workspace_changelist"), "primary")
    return Danger(Rank.LEAK, Sentence("danger", text, detail, (look,)), f"the private UponAI key was shown in {where}")


def _key_refused() -> Danger:
    text = "UponAI refuses the key of this workspace: no edit reaches it, and nothing can be started there."
    detail = "Calls that come in are judged all the same. Put the new key in, and all that waits is sent."
    key = Action("To the connection", reverse("admin:policies_uponaiconnection_changelist"), "primary")
    also = "UponAI refuses the key of this workspace"
    return Danger(Rank.KEY_REFUSED, Sentence("danger", text, detail, (key,)), also)


def _alerts(worst: UnseenAlert, count: int, *, is_told: bool) -> Iterator[Danger]:
    """`is_told`: of the worst more is said elsewhere."""
    others = count - 1
    if is_told:
        if others:
            said = f"{drawing.counted(others, 'more alert')} not seen"
            yield Danger(Rank.ALERT, Sentence("warning", f"{said}.", actions=(_all_alerts(),)), said)
        return
    rank = Rank.GRAVE_ALERT if worst.tone == "danger" else Rank.ALERT
    look = (Action("Look", worst.path, "primary"),) if worst.path else ()
    detail = f"And {drawing.counted(others, 'more alert')} that nobody has seen." if others else ""
    sentence = Sentence(worst.tone, worst.sentence, detail, (*look, _all_alerts()))
    yield Danger(rank, sentence, f"{drawing.counted(count, 'alert')} not seen")


def _widened(pulse: Pulse) -> Danger:
    count = pulse.widened
    numbers, allow = ("1 phone number", "allows") if count == 1 else (f"{count:,} phone numbers", "allow")
    text = f"{numbers} {allow} more at UponAI than this console says: somebody else changed that there."
    detail = "The console sends its own lists again, three times within an hour; then a person has to decide."
    look = Action("Look", numbers_that_drift(), "primary")
    return Danger(Rank.WIDENED, Sentence("danger", text, detail, (look,)), f"{numbers} {allow} more at UponAI")


def _ungated(count: int) -> Danger:
    what = "1 call or chat" if count == 1 else f"{drawing.count(count)} calls and chats"
    text = f"{what} at UponAI did not pass the gate in 24 hours."
    look = Action("Look at them", links.ungated(), "primary")
    return Danger(Rank.UNGATED, Sentence("warning", text, "", (look,)), f"{what} did not pass the gate in 24 hours")


def _not_as_wanted(pulse: Pulse) -> Danger:
    numbers = "1 phone number is" if pulse.wrong == 1 else f"{pulse.wrong:,} phone numbers are"
    said = f"{numbers} not configured at UponAI as this console says"
    look = Action("Look", numbers_out_of_step(pulse), "primary")
    return Danger(Rank.NOT_AS_WANTED, Sentence("warning", f"{said}.", "", (look,)), said)


def _all_alerts() -> Action:
    return Action("All alerts", links.alerts())
