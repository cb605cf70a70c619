"""What a person decides about a number that somebody changed at UponAI: ours again, or theirs from now on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.audit import Acting
from accounts.countries import CODES, NO_TELEPHONES, is_sanctioned
from accounts.workspaces import taking_turns
from policies import actions, asking, bells, widening
from policies.actions import KEEP, Edit
from policies.loosened import version_of
from policies.models import PhoneNumber, SyncTarget
from policies.rules_input import Refused
from policies.sync import differences, lists
from policies.sync.comparing import is_given_up
from policies.sync.differences import Difference
from policies.sync.lists import CountryLists
from policies.widening import Wish
from policies.wishes import policy_version

GONE = "UponAI does not list this number any more, so nothing can be sent to it."
ON_ITS_WAY = (
    "What is wanted of this number was changed after UponAI was last looked at, and is on its way there. "
    "Wait until it has arrived: then there may be nothing to adopt."
)
NEVER_SEEN = "What UponAI has for this number was never seen, so there is nothing to adopt."
WEBHOOK_LEFT = "UponAI goes on asking the webhook that it has now. The console judges these calls no longer."
AS_WANTED = "When UponAI was last looked at, its lists for this number were as wanted: there is nothing to adopt."
ONLY_SANCTIONED = (
    "All that UponAI has beyond ours are countries that are always blocked: there is nothing to adopt. "
    "Re-assert instead."
)
ADOPTED = "As UponAI had it."


@dataclass(frozen=True, slots=True)
class ThreeSides:
    """A number's lists: as wanted, as last sent, as UponAI was seen to have them; None where that is not known."""

    state: str
    wanted: CountryLists
    wanted_at: datetime | None
    applied: CountryLists | None
    applied_at: datetime | None
    observed: CountryLists | None
    observed_at: datetime | None
    drift_since: datetime | None
    given_up: bool
    differences: list[Difference]


def three_sides(number: PhoneNumber, *, now: datetime) -> ThreeSides:
    """`number` comes with its policy's revision and its sync row."""
    target = number.sync_target
    wanted = lists.desired_of(target, now=now)
    applied, observed = (None if both is None else lists.of_json(both) for both in (target.applied, target.observed))
    return ThreeSides(
        state=target.state,
        wanted=wanted,
        wanted_at=target.desired_at,
        applied=applied,
        applied_at=target.applied_at,
        observed=observed,
        observed_at=target.verified_at,
        drift_since=target.drift_since if target.state == SyncTarget.State.DRIFT else None,
        given_up=is_given_up(target),
        differences=differences.between(wanted, observed) if observed else [],
    )


def re_assert(*, phone_number: PhoneNumber, acting_user: Acting, now: datetime) -> None:
    """Sends what is wanted to UponAI again, over whatever it has. Raises Refused where UponAI lacks the number."""
    with taking_turns(phone_number.workspace_id):
        number, target = _rows(phone_number)
        if number.missing_since:
            raise Refused.one("phone_number", "missing", GONE)
        wanted = lists.desired_of(target, now=now).as_json()
        audit.record(
            workspace_id=number.workspace_id,
            action="sync.re_assert",
            subject=number,
            acting_user=acting_user,
            now=now,
            before={"at_uponai": target.observed, "wanted": wanted},
            after={"at_uponai": wanted, "wanted": wanted},
        )
        # A person decided: the count of the console's own tries begins anew.
        SyncTarget.objects.filter(pk=target.pk).update(
            due_at=now, state=SyncTarget.State.PENDING, attempts=0, error="", reasserted_at=[]
        )
        transaction.on_commit(lambda: bells.ring_push([target.pk]))


def adopt(
    *,
    phone_number: PhoneNumber,
    acting_user: Acting,
    now: datetime,
    confirm_unrestricted: bool = False,
    reason: str = "",
    expected_version: str | None = None,
) -> Edit:
    """Makes what was last seen at UponAI the newest revision of the number's policy.

    A policy that other numbers follow too is left to them. What is on hold or open for a time stays so beside it, and
    sanctioned countries are left out. Raises Refused, StaleEdit.
    """
    with taking_turns(phone_number.workspace_id):
        number, target = _rows(phone_number)
        wanted, seen = lists.desired_of(target, now=now), _seen(target)
        found = differences.between(wanted, seen)
        if not found and asking.asks_another(number):
            asking.leave_webhooks(phone_number=number, acting_user=acting_user, now=now)
            return Edit(number, WEBHOOK_LEFT, True)
        changes = _changes(number, found)
        wish = _wish(number, target, confirm_unrestricted=confirm_unrestricted, reason=reason)
        with widening.together(wish, acting_user=acting_user, now=now):
            edit = actions.edit_phone_number(
                phone_number=number,
                acting_user=acting_user,
                now=now,
                confirm_unrestricted=confirm_unrestricted,
                # Lifting a list needs a reason of their own.
                reason=reason or ("" if None in changes.values() else ADOPTED),
                expected_version=expected_version,
                **changes,
            )
            audit.record(
                workspace_id=number.workspace_id,
                action="sync.adopt",
                subject=number,
                acting_user=acting_user,
                now=now,
                before={"wanted": wanted.as_json(), "at_uponai": target.observed},
                after={"wanted": {**wanted.as_json(), **_plain(changes)}, "at_uponai": target.observed},
                reason=reason,
            )
            SyncTarget.objects.filter(pk=target.pk).update(reasserted_at=[], drift_since=None)
    return edit


def version_to_adopt(phone_number_id: int) -> str:
    """Changes whenever the number is wanted otherwise, UponAI has something else, or somebody re-asserted ours."""
    rows = SyncTarget.objects.select_related("phone_number__policy__current_revision")
    target = rows.filter(phone_number=phone_number_id).first()
    return _version(target) if target else ""


def left_out(seen: lists.CountryLists) -> list[str]:
    """The countries of UponAI's lists that adopting does not take over."""
    codes = {*(seen.inbound or ()), *(seen.outbound or ())}
    return sorted(code for code in codes if is_sanctioned(code) or code not in CODES)


def _rows(phone_number: PhoneNumber) -> tuple[PhoneNumber, SyncTarget]:
    target = (
        SyncTarget.objects.select_for_update(of=("self",))
        .select_related("phone_number__policy__current_revision")
        .get(phone_number=phone_number)
    )
    return target.phone_number, target


def _wish(number: PhoneNumber, target: SyncTarget, *, confirm_unrestricted: bool, reason: str) -> Wish:
    return Wish(
        "adopt",
        about=f"The countries of {number.e164} as UponAI has them",
        arguments={"phone_number": number.pk, "confirm_unrestricted": confirm_unrestricted, "reason": reason},
        base_version=_version(target),
        about_model="phonenumber",
        about_id=number.pk,
        reason=reason or ADOPTED,
    )


def _version(target: SyncTarget) -> str:
    waits = target.state == SyncTarget.State.DRIFT
    return version_of({"policy": policy_version(target.phone_number.policy), "seen": target.observed, "waits": waits})


def _seen(target: SyncTarget) -> CountryLists:
    """What UponAI was last seen to have. Raises Refused where that says nothing about what is wanted now."""
    if target.observed is None:
        raise Refused.one("phone_number", "never_seen", NEVER_SEEN)
    if _is_outdated(target):
        raise Refused.one("phone_number", "on_its_way", ON_ITS_WAY)
    return lists.of_json(target.observed)


def _changes(number: PhoneNumber, found: list[Difference]) -> dict[str, list[str] | None]:
    """The number's lists as they would be, by the name that an edit has for each. Raises Refused."""
    if not found:
        raise Refused.one("phone_number", "as_wanted", AS_WANTED)
    changes = {f"{one.direction}_countries": _adopted(number, one) for one in found}
    if all(codes == _own(number, one.direction) for codes, one in zip(changes.values(), found, strict=True)):
        raise Refused.one("phone_number", "sanctioned", ONLY_SANCTIONED)
    return changes


def _is_outdated(target: SyncTarget) -> bool:
    """Whether what was seen is older than what is wanted: what differs is then a colleague's edit, and no drift."""
    is_due = target.state == SyncTarget.State.PENDING and target.due_at is not None
    return is_due and (target.verified_at is None or target.verified_at < target.desired_at)


def _own(number: PhoneNumber, direction: str) -> list[str] | None:
    rules = getattr(number.policy.current_revision, direction)
    return None if rules["mode"] == "unrestricted" else list(rules["countries"])


def _adopted(number: PhoneNumber, difference: Difference) -> list[str] | None:
    """The policy's own list with what differs. What only a hold or an open explains does not become a rule."""
    if difference.theirs is None:
        return None
    own = _own(number, difference.direction)
    kept = (set(CODES) if own is None else set(own)) - set(difference.less)
    if difference.ours is None or difference.theirs == (NO_TELEPHONES,):
        kept &= set(difference.theirs)
    allowed = {code for code in kept | set(difference.more) if code in CODES and not is_sanctioned(code)}
    return sorted(allowed - {NO_TELEPHONES}) or [NO_TELEPHONES]


def _plain(changes: dict[str, Any]) -> dict[str, Any]:
    return {name.removesuffix("_countries"): codes for name, codes in changes.items() if codes is not KEEP}
