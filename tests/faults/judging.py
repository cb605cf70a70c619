"""What the sandbox's logs say of the sync: what arrived in which order, how often, how soon, how much at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.faults.rig import Account, whole

LISTS = ("allowed_inbound_country_list", "allowed_outbound_country_list")
REPAIRED_SECONDS = 90
SANCTIONED = frozenset({"CU", "IR", "KP", "SY", "RU", "BY", "VE"})
UNDER_WAY_MS = 250
"""A request that leaves while UponAI's refusal of another is on its way back was not told yet."""


@dataclass
class Arrivals:
    """The changes of an account's lists in the order in which UponAI made them."""

    changes: int = 0
    stale: list[str] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    never_repaired: list[str] = field(default_factory=list)


def arrivals(account: Account) -> Arrivals:
    """Each change is explained by the oldest generation that it can be. One that is older than what was there before
    was sent by us too late, unless the fault did that: then it must have been repaired.
    """
    faults = {entry["change"]: entry["fault"] for entry in account.requests() if entry["change"]}
    found, reached, open_since = Arrivals(), dict.fromkeys(account.e164s, 0), dict[str, int]()
    for change in account.rig.get("log", after=account.starts_after):
        e164 = change["path"].rpartition("/")[2]
        if e164 not in reached or change["method"] != "PATCH" or LISTS[0] not in change["body"]:
            continue
        found.changes += 1
        generation = _generation(account, e164, change["body"], reached[e164])
        if generation is None:
            if faults.get(change["n"]) == "late_apply":
                open_since.setdefault(e164, change["time"])
            else:
                found.stale.append(f"{e164} {change} after generation {reached[e164]}")
            continue
        reached[e164] = generation
        if e164 in open_since:
            found.late.append((change["time"] - open_since.pop(e164)) / 1000)
    found.never_repaired = [*open_since]
    return found


def _generation(account: Account, e164: str, body: dict[str, Any], reached: int) -> int | None:
    sent = tuple(whole(body[name]) for name in LISTS)
    return next(
        (number for number, *wanted in account.history[e164] if number >= reached and tuple(wanted) == sent), None
    )


def unlawful(account: Account) -> list[dict[str, Any]]:
    """Changes that allow a sanctioned country, or everything where nobody decided that."""
    bad = []
    for change in account.rig.get("log", after=account.starts_after):
        e164 = change["path"].rpartition("/")[2]
        for name in set(LISTS) & set(change["body"]) if e164 in account.history else ():
            countries = change["body"][name]
            decided = any(wanted[1 + LISTS.index(name)] is None for wanted in account.history[e164])
            if (not countries and not decided) or set(countries or ()) & SANCTIONED:
                bad.append(change)
    return bad


def sent_twice(account: Account, after: int) -> dict[str, int]:
    """Numbers with more than one update since."""
    updates = Counter(entry["path"] for entry in account.requests(after) if entry["method"] == "PATCH")
    return {path: count for path, count in updates.items() if count > 1}


def too_early(account: Account, retry_after: float) -> list[dict[str, Any]]:
    """Requests that came before the time that a 429 had named."""
    told, early = 0, []
    for entry in sorted(account.requests(), key=lambda entry: entry["at"]):
        if told and told + UNDER_WAY_MS < entry["at"] < told + retry_after * 1000:
            early.append(entry)
        if entry["status"] == 429:
            told = entry["done_at"]
    return early


def most_at_once(entries: list[dict[str, Any]]) -> int:
    moments = [(entry["at"], 1) for entry in entries] + [(entry["done_at"], -1) for entry in entries]
    now = most = 0
    for _, step in sorted(moments):
        now += step
        most = max(most, now)
    return most
