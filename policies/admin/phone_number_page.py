"""What the page of one phone number says. Reads rows, changes nothing, knows no request."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse

from accounts.admin import audit
from accounts.admin.display import country_facts, panel_url, phone_facts
from accounts.components import Sentence
from accounts.countries import name_of
from accounts.models import AuditEntry
from policies import held
from policies.actions import version_of
from policies.admin import answering_page, drift_page, hold_words, open_words
from policies.admin.country_input import always_blocked, family_of, how_many, in_words, left_out
from policies.engine.holds import HoldSnapshot
from policies.models import CountryPolicy, Hold, PhoneNumber, SyncTarget
from policies.sync import lists

State = SyncTarget.State
NEWEST_ENTRIES = 8
TITLES = {"inbound": "May be called from", "outbound": "May call"}
FAST, SLOW = "every 700ms", "every 5s"
"""How often the page asks whether UponAI has it: while somebody waits, and otherwise."""


def loaded(pk: int) -> PhoneNumber | None:
    """The number with all that its page shows of it."""
    rows = PhoneNumber.objects.select_related("policy__current_revision", "sync_target")
    number: PhoneNumber | None = rows.filter(pk=pk).first()
    return number


def codes_of(number: PhoneNumber, direction: str) -> list[str] | None:
    """The countries of one direction; None for every country."""
    rules = getattr(number.policy.current_revision, direction)
    return None if rules["mode"] == "unrestricted" else list(rules["countries"])


def body(
    number: PhoneNumber, *, now: datetime, may_change: bool, may_see_audit: bool, may_hold: bool
) -> dict[str, Any]:
    """Everything but the frame and the panel of recent traffic."""
    others = PhoneNumber.objects.filter(policy=number.policy).exclude(pk=number.pk).count()
    return {
        "number": number,
        "shown_number": phone_facts(number.e164),
        "version": version_of(number),
        "may_change": may_change,
        "holds": [*_holds(number, now, may_lift=may_hold), *_opens(number, now, may_close=may_hold)],
        "hold_href": _hold_href(number) if may_hold else "",
        "directions": [_direction(number, direction) for direction in TITLES],
        "always_blocked": always_blocked(),
        "home_only": _home_only(number) if may_change else None,
        "others": others,
        "followers": others + 1,
        "policies": CountryPolicy.objects.exclude(pk=number.policy_id).order_by("name") if may_change else (),
        "sync": sync_state(number, now),
        "facts": sync_facts(number, now, may_see_audit=may_see_audit),
        "answering": answering_page.facts(number, now=now, may_change=may_change),
        "entries": _entries(number) if may_see_audit else None,
    }


def _home_only(number: PhoneNumber) -> dict[str, str] | None:
    """The switch for no international calls; None where there are none already."""
    home = str(number.workspace.home_country)
    if all(codes_of(number, direction) == [home] for direction in TITLES):
        return None
    family = family_of(home)
    hint = f"{name_of(home)} does not include {in_words(family.others)}." if family else ""
    return {"home": name_of(home), "hint": hint}


def _holds(number: PhoneNumber, now: datetime, *, may_lift: bool) -> list[Sentence]:
    """What is held of this number: itself, or everything."""
    about = Q(scope=Hold.Scope.WORKSPACE) | Q(scope=Hold.Scope.PHONE_NUMBER, value=number.e164)
    back = reverse("admin:policies_phonenumber_change", args=[number.pk])
    rows = held.in_force(now).filter(about).order_by("-expires_at")
    return [hold_words.sentence(hold, now=now, may_lift=may_lift, back=back) for hold in rows]


def _opens(number: PhoneNumber, now: datetime, *, may_close: bool) -> list[Sentence]:
    """What is open of this number."""
    back = reverse("admin:policies_phonenumber_change", args=[number.pk])
    rows = held.opens_now(now).filter(scope=Hold.Scope.PHONE_NUMBER, value=number.e164).order_by("-expires_at")
    return [open_words.sentence(row, now=now, may_close=may_close, back=back) for row in rows]


def _hold_href(number: PhoneNumber) -> str:
    query = urlencode({"scope": Hold.Scope.PHONE_NUMBER, "value": number.e164})
    return f"{reverse('admin:policies_hold_add')}?{query}"


def _direction(number: PhoneNumber, direction: str) -> dict[str, Any]:
    codes = codes_of(number, direction)
    return {
        "key": direction,
        "title": TITLES[direction],
        "codes": codes,
        "countries": country_facts(codes or ()),
        "how_many": how_many(codes),
        "left_out": left_out(codes),
    }


# --- How far it is on its way to UponAI -----------------------------------------------------------


def sync_state(number: PhoneNumber, now: datetime) -> dict[str, Any]:
    """The page's sentence in two halves: what is wanted, and whether UponAI has it."""
    target = _target(number)
    tone, text = _uponai_half(number, target, for_a_time=_for_a_time(number, now))
    wanted = (
        f"May be called from {how_many(codes_of(number, 'inbound'))}, "
        f"may call {how_many(codes_of(number, 'outbound'))}."
    )
    state = state_of(number)
    waits = target is not None and state != State.SYNCED and target.attempts > 0 and target.due_at is not None
    return {
        "tone": tone,
        "wanted": wanted,
        "text": text,
        "state": state,
        "missing_since": number.missing_since,
        "checked_at": target.verified_at if target and state == State.SYNCED else None,
        "next_at": target.due_at if waits else None,
        "trying_now": waits and target.due_at <= now,
        "every": FAST if state == State.PENDING and not number.missing_since else SLOW,
        "seen": _fingerprint(number, target),
        "version": version_of(number),
    }


def _target(number: PhoneNumber) -> SyncTarget | None:
    return getattr(number, "sync_target", None)


def _for_a_time(number: PhoneNumber, now: datetime) -> str:
    """How what UponAI is to have differs from the policy, because of what is open or on hold."""
    holds, opens = held.of_lists(now), held.opens_of_lists(now)
    plain = _desired(number)
    said = []
    if _desired(number, opens=opens) != plain:
        said.append("with what is open for a time")
    if _desired(number, holds=holds, opens=opens) != _desired(number, opens=opens):
        said.append("less what is on hold")
    return ", ".join(said)


def _desired(
    number: PhoneNumber, *, holds: Sequence[HoldSnapshot] = (), opens: Sequence[HoldSnapshot] = ()
) -> lists.CountryLists:
    revision = number.policy.current_revision
    assert revision is not None  # noqa: S101  (a policy is created together with its first revision)
    return lists.desired(revision, e164=number.e164, holds=holds, opens=opens)


def _uponai_half(number: PhoneNumber, target: SyncTarget | None, *, for_a_time: str = "") -> tuple[str, str]:
    if number.missing_since:
        return "danger", "UponAI does not list this number any more."
    if target is None or (target.state == State.UNKNOWN and not target.error):
        return "unknown", "What UponAI has is not known yet."
    if target.state == State.SYNCED:
        return "quiet", f"UponAI has the same, {for_a_time}" if for_a_time else "UponAI has the same"
    error = target.error.rstrip(". ")
    if target.state == State.UNKNOWN and target.due_at is None:
        return "unknown", f"What UponAI has is not known. {error}"
    if target.state == State.FAILED:
        return "danger", f"UponAI refused this: {error}. It is not tried again by itself."
    if target.state == State.DRIFT:
        return "warning", drift_page.in_short(target)
    if not error:
        return "notice", "UponAI does not have this yet; it is on its way."
    return "warning", f"UponAI does not have this yet: {error}"


def state_of(number: PhoneNumber) -> str:
    target = _target(number)
    return target.state if target else State.UNKNOWN


def badge_sentence(number: PhoneNumber) -> str:
    """The state in one line, for a list."""
    return _uponai_half(number, _target(number))[1].rstrip(".") + "."


def _fingerprint(number: PhoneNumber, target: SyncTarget | None) -> str:
    """Changes whenever the sentence would."""
    facts = [version_of(number), number.missing_since, number.inbound_agents, number.answering_agents]
    if target:
        facts += [target.state, target.desired_generation, target.attempts, target.error]
        facts += [target.verified_at if target.state == State.SYNCED else target.due_at]
    return f"{zlib.crc32(repr(facts).encode()):08x}"


def sync_facts(number: PhoneNumber, now: datetime, *, may_see_audit: bool) -> dict[str, Any]:
    """Wanted, last sent and seen, side by side, with what is to be done about a difference."""
    target = _target(number)
    lists_wanted = lists.desired_of(target, now=now) if target else _desired(number)
    wanted = lists_wanted.as_json()
    others = PhoneNumber.objects.filter(policy=number.policy).exclude(pk=number.pk).count()
    rows = []
    for direction, title in TITLES.items():
        columns = [_column(wanted, direction)]
        columns += [_column(getattr(target, name, None), direction) for name in ("applied", "observed")]
        for column in columns[1:]:
            column["differs"] = column["known"] and column["codes"] != columns[0]["codes"]
        rows.append({"title": title, "columns": columns})
    return {
        "target": target,
        "rows": rows,
        "drift": drift_page.facts(number, lists_wanted, others=others),
        "history": drift_page.history(number) if may_see_audit else None,
        "version": version_of(number),
        "error": f"{target.error.rstrip('. ')}." if target and target.error else "",
        "may_retry": target is not None and target.state != State.SYNCED,
        "trying_now": target is not None and target.due_at is not None and target.due_at <= now,
    }


def _column(both: dict[str, Any] | None, direction: str) -> dict[str, Any]:
    if both is None:
        return {"known": False, "codes": None, "countries": []}
    codes = both.get(direction)
    codes = sorted(codes) if codes else None
    return {"known": True, "codes": codes, "countries": country_facts(codes or ()), "how_many": how_many(codes)}


# --- What was changed, and what happened ------------------------------------------------------------


def _entries(number: PhoneNumber) -> list[dict[str, Any]]:
    about_number = Q(object_type="policies.phonenumber", object_id=str(number.pk))
    about_policy = Q(object_type="policies.countrypolicy", object_id=str(number.policy_id))
    newest = AuditEntry.objects.filter(about_number | about_policy).order_by("-sequence")[:NEWEST_ENTRIES]
    return [audit.shown(entry) for entry in newest]


def traffic_panel_url(number: PhoneNumber) -> str:
    """The panel of the last 7 days."""
    return panel_url("phone-number", number.pk)
