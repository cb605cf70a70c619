"""What the page of a phone number says of drift: the difference in words, what can be done, and how it came about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q

from accounts.admin import audit
from accounts.countries import NO_TELEPHONES, in_words, name_of
from accounts.models import AuditEntry
from policies.models import PhoneNumber, SyncTarget
from policies.rules_input import Refused
from policies.sync import differences, drifted
from policies.sync.comparing import OUTRUN, is_given_up
from policies.sync.lists import CountryLists, of_json

State = SyncTarget.State
NEWEST = 10
MOST_NAMED = 8
SYNC_ACTIONS = {
    "sync.drift": "Seen at UponAI: something else than was sent",
    "sync.re_assert": "Ours sent again",
    "sync.give_up": "Not put right any more",
    "sync.adopt": "Theirs adopted",
    "sync.retry": "Tried again by hand",
    "phone_number.missing": "UponAI did not list it any more",
    "phone_number.came_back": "UponAI listed it again",
}
PUT_RIGHT = "It is being put right."
YOURS = "UponAI allows less than is wanted, and nothing is sent by itself: adopt theirs, or re-assert ours."
NOBODY_HERE = "Nobody here did that."
PERHAPS_LATE = "It may be a change of ours that UponAI had left unanswered and carried out late."


def follow_up(target: SyncTarget) -> str:
    """What becomes of a number's drift."""
    if target.due_at is not None:
        return PUT_RIGHT
    return OUTRUN if is_given_up(target) else YOURS


def in_short(target: SyncTarget) -> str:
    """One sentence, or two: what is so at UponAI, and what follows."""
    said = ". ".join(_said(target))
    # Where a try failed, the page goes on with when the next one is.
    return said if target.attempts else f"{said}. {follow_up(target)}"


def _said(target: SyncTarget) -> list[str]:
    """What was found, each without its full stop."""
    error = target.error.removesuffix(OUTRUN).rstrip(". ")
    return error.split("; ") if error else ["UponAI shows other lists"]


def facts(number: PhoneNumber, wanted: CountryLists, *, others: int) -> dict[str, Any] | None:
    """The difference and the buttons; None where there is no drift. `others`: numbers that share the policy."""
    target: SyncTarget | None = getattr(number, "sync_target", None)
    if target is None or target.state != State.DRIFT:
        return None
    seen = of_json(target.observed) if target.observed else None
    found = differences.between(wanted, seen) if seen else []
    return {
        "words": [f"{said}." for said in _said(target)],
        "since": target.drift_since,
        "who": PERHAPS_LATE if target.unsure_since else NOBODY_HERE,
        "follow_up": follow_up(target),
        "re_assert": _re_assert_words(found),
        "adopt": _adopt_words(found, seen, others=others) if seen and found else None,
    }


def _re_assert_words(found: Iterable[differences.Difference]) -> str:
    parts = []
    for one in found:
        where = "callers" if one.direction == "inbound" else "destinations"
        if one.theirs is None or one.more:
            what = "every other country" if one.theirs is None else in_words(one.more)
            parts.append(f"takes {what} away from its {where}")
        if one.ours is None or one.less:
            what = "every country" if one.ours is None else in_words(one.less)
            parts.append(f"gives {what} back to its {where}")
    return f"This {' and '.join(parts)} at UponAI." if parts else "Everything that is wanted is sent to UponAI again."


def _adopt_words(found: Iterable[differences.Difference], seen: CountryLists, *, others: int) -> dict[str, Any]:
    left_out = drifted.left_out(seen)
    words = "What UponAI has becomes the newest revision of this number's policy."
    if others:
        words += " It then follows a policy of its own."
    if left_out:
        words += f" {in_words(left_out)} cannot be allowed and stays out."
    return {"words": words, "unrestricted": any(one.theirs is None for one in found)}


# --- How it came about ----------------------------------------------------------------------------


def history(number: PhoneNumber) -> list[dict[str, Any]]:
    """What was wanted, sent and seen of this number, newest first, with both sides of each difference."""
    rows = AuditEntry.objects.filter(
        Q(object_type="policies.phonenumber", object_id=str(number.pk))
        & (Q(action__in=SYNC_ACTIONS) | Q(action__in=["phone_number.assign_policy", "phone_number.fork_policy"]))
        | Q(object_type="policies.countrypolicy", object_id=str(number.policy_id))
    )
    lines = [_line(entry) for entry in rows.order_by("-sequence")[:NEWEST]]
    target: SyncTarget | None = getattr(number, "sync_target", None)
    if target is not None and target.applied_at is not None:
        lines.append({"at": target.applied_at, "what": "UponAI had it: sent, and read back the same", "by": ""})
    return sorted(lines, key=lambda line: line["at"], reverse=True)


def _line(entry: AuditEntry) -> dict[str, Any]:
    detail = entry.detail or {}
    line = {
        "at": entry.at,
        "what": SYNC_ACTIONS.get(entry.action) or audit.action_in_words(entry.action),
        "by": entry.actor_label,
        "pk": entry.pk,
        "sequence": entry.sequence,
        "reason": detail.get("reason", ""),
    }
    if entry.action not in SYNC_ACTIONS:
        return line | {"changes": audit.changes(entry)}
    return line | {"sides": _sides(detail)}


def _sides(detail: dict[str, Any]) -> list[dict[str, str]]:
    """Ours and theirs in the directions in which they differed."""
    told = next((part for part in (detail.get("after"), detail.get("before")) if _differs(part)), None)
    if told is None:
        return []
    ours, theirs = of_json(told["wanted"]), of_json(told["at_uponai"])
    return [
        {
            "direction": "May be called from" if one.direction == "inbound" else "May call",
            "ours": _named(one.ours),
            "theirs": _named(one.theirs),
        }
        for one in differences.between(ours, theirs)
    ]


def _differs(part: Any) -> bool:
    return bool(part and part.get("wanted") and part.get("at_uponai") and part["wanted"] != part["at_uponai"])


def _named(codes: tuple[str, ...] | None) -> str:
    if codes is None:
        return "every country"
    if codes == (NO_TELEPHONES,):
        return "no country"
    return f"{len(codes)} countries" if len(codes) > MOST_NAMED else ", ".join(name_of(code) for code in codes)


# --- What the buttons do --------------------------------------------------------------------------


def re_asserted(number: PhoneNumber, **acting: Any) -> tuple[str, str]:
    """Sends ours again; what to say of it, and in which tone."""
    try:
        drifted.re_assert(phone_number=number, **acting)
    except Refused as refusal:
        return str(refusal), "warning"
    return "What is wanted is sent to UponAI again.", "quiet"


def adopted(number: PhoneNumber, given: Any, **acting: Any) -> tuple[str, str]:
    """Takes theirs over; raises StaleEdit."""
    try:
        edit = drifted.adopt(
            phone_number=number,
            confirm_unrestricted=given.get("confirm") == "yes",
            reason=given.get("reason", "").strip()[:500],
            expected_version=given.get("version", ""),
            **acting,
        )
    except Refused as refusal:
        return str(refusal), "warning"
    return f"What UponAI had is this number's policy now. {edit.notice}".strip(), "quiet"
