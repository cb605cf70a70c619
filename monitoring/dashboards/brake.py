"""The emergency brake on the home page: the button, what its dialog says, and what is held now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from accounts.components import Action, Sentence
from policies.admin import hold_words
from policies.admin.holds import LENGTHS, USUAL_LENGTH
from policies.held import in_force
from policies.models import Hold


@dataclass(frozen=True, slots=True)
class Brake:
    """In the shapes of components/_brake_button.html and policies/brake_dialog.html."""

    engaged: bool
    href: str
    confirm: str = ""
    since: datetime | None = None
    action: str = ""
    does: str = ""
    unproven: str = hold_words.UNPROVEN
    lengths: tuple[tuple[int, str], ...] = LENGTHS
    usual_length: int = USUAL_LENGTH


def holds_now(now: datetime) -> list[Hold]:
    """What is held now, the brake first."""
    return sorted(in_force(now), key=lambda hold: (hold.scope != Hold.Scope.WORKSPACE, hold.expires_at))


def banners(holds: list[Hold], *, now: datetime, may_lift: bool) -> tuple[Sentence, ...]:
    """The brake in full, and everything else that is held in one line; nothing when nothing is held."""
    brakes = [hold for hold in holds if hold.scope == Hold.Scope.WORKSPACE]
    others = holds[len(brakes) :]
    back = reverse("admin:index")
    said = [hold_words.sentence(hold, now=now, may_lift=may_lift, back=back) for hold in brakes]
    if len(others) == 1:
        said.append(hold_words.sentence(others[0], now=now, may_lift=may_lift, back=back))
    elif others:
        names = ", ".join(hold_words.what(hold) for hold in others[:3]) + (" and more" if len(others) > 3 else "")
        look = Action("Look at them", reverse("admin:policies_hold_changelist"))
        said.append(Sentence("danger", f"{len(others)} things are on hold: {names}.", "", (look,)))
    return tuple(said)


def brake(holds: list[Hold], *, numbers: int) -> Brake:
    pulled = next((hold for hold in holds if _holds_everything(hold)), None)
    if pulled is not None:
        confirm = "From then on policies and other holds decide again. UponAI gets its usual country lists back."
        back = reverse("admin:index")
        return Brake(True, hold_words.lift_href(pulled, back), confirm, pulled.imposed_at)
    which = "its one phone number" if numbers == 1 else f"all {numbers} phone numbers"
    told = f" UponAI is told to close {which}, for callers and destinations." if numbers else ""
    return Brake(
        False,
        f"{reverse('admin:policies_hold_add')}?scope={Hold.Scope.WORKSPACE}",
        action=reverse("admin:policies_hold_brake"),
        does=f"{hold_words.BRAKE_DOES}{told}",
    )


def _holds_everything(hold: Hold) -> bool:
    return hold.scope == Hold.Scope.WORKSPACE and not hold.direction and not hold.channel
