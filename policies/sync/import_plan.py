"""What an import would change, number by number and in words, before it changes anything."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from accounts.countries import CODES, NO_TELEPHONES, is_sanctioned, name_of
from accounts.models import Workspace
from policies.answering import without_secrets
from policies.models import CountryPolicy, PhoneNumber
from policies.sync import bindings, newcomers
from policies.uponai.payloads import ProviderNumber

NEW, CHANGED, BACK, GONE = "new", "changed", "back", "gone"
MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class Told:
    """One thing about a number; `is_warning` where somebody should look twice."""

    text: str
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class NumberChange:
    phone_number: str
    nickname: str
    change: str
    details: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """`found` numbers are at UponAI; those that would change here are in `changes`."""

    found: int
    changes: tuple[NumberChange, ...]

    def of(self, kind: str) -> list[NumberChange]:
        return [change for change in self.changes if change.change == kind]

    @property
    def counts(self) -> dict[str, int]:
        names = {"added": NEW, "changed": CHANGED, "back": BACK, "missing": GONE}
        return {"found": self.found} | {name: len(self.of(kind)) for name, kind in names.items()}

    @property
    def sentence(self) -> str:
        """What would happen, in a line."""
        counts = self.counts
        words = {"added": "new", "changed": "changed", "back": "there again", "missing": "no longer there"}
        said = [f"{counts[name]} {word}" for name, word in words.items() if counts[name]]
        there = "1 number" if self.found == 1 else f"{self.found:,} numbers"
        return f"UponAI has {there}: {in_words(said)}." if said else f"UponAI has {there}. Nothing would change."

    def as_json(self) -> dict[str, Any]:
        numbers = [
            {
                "phone_number": one.phone_number,
                "nickname": one.nickname,
                "change": one.change,
                "details": [told.text for told in one.details],
                "warnings": [told.text for told in one.details if told.is_warning],
            }
            for one in self.changes
        ]
        return {**self.counts, "phone_numbers": numbers}

    @property
    def unrestricted(self) -> int:
        """How many of the new ones may call or be called from every country."""
        return sum(any(told.is_warning and told.text.startswith("Every") for told in c.details) for c in self.of(NEW))


def compare(workspace: Workspace, numbers: Sequence[ProviderNumber]) -> ImportPlan:
    """UponAI's numbers beside ours. Reads rows only."""
    known = {row.e164: row for row in PhoneNumber.objects.all()}
    there = {number.phone_number: number for number in numbers}
    policy = newcomers.policy_for_newcomers(workspace) if known else None
    changes = [
        _new(workspace, number, is_first=not known, policy=policy)
        for e164, number in there.items()
        if e164 not in known
    ]
    for e164, row in known.items():
        if e164 in there:
            changes += _known(row, there[e164], workspace.endpoint)
        elif row.missing_since is None:
            gone = Told("UponAI no longer lists it. Its policy, calls and history stay here.", is_warning=True)
            changes.append(NumberChange(e164, row.nickname, GONE, (gone,)))
    return ImportPlan(len(there), tuple(sorted(changes, key=lambda one: (one.change != NEW, one.phone_number))))


def _new(workspace: Workspace, number: ProviderNumber, *, is_first: bool, policy: CountryPolicy | None) -> NumberChange:
    details = [
        *_list_told(number.inbound_countries, "call it", "May be called from"),
        *_list_told(number.outbound_countries, "be called from it", "May call"),
        Told(_asked(number.inbound_webhook_url, workspace.endpoint)),
    ]
    if is_first:
        details.append(Told("It gets a policy of its own that says the same."))
    elif policy is not None:
        details.append(Told(f"It follows “{policy.name}” at once, and UponAI gets the lists of that."))
    else:
        details.append(Told("It stays as found, and is flagged until somebody says what it may do."))
    return NumberChange(number.phone_number, number.nickname, NEW, tuple(details))


def _list_told(countries: frozenset[str] | None, verb: str, sentence: str) -> Iterator[Told]:
    if countries is None:
        yield Told(f"Every country may {verb}: UponAI has no restriction on it.", is_warning=True)
        return
    kept = sorted((code for code in countries if code in CODES and not is_sanctioned(code)), key=name_of)
    nowhere = not kept or kept == [NO_TELEPHONES]
    yield Told(f"{sentence} nowhere." if nowhere else f"{sentence} {in_words([name_of(code) for code in kept])}.")
    never = sorted(name_of(code) for code in countries if is_sanctioned(code))
    if never:
        text = (
            f"{in_words(never)}: on the list at UponAI, always blocked all the same. The next push takes it out there."
        )
        yield Told(text, is_warning=True)
    unknown = sorted(code[:12] for code in countries if code not in CODES)
    if unknown:
        yield Told(f"{in_words(unknown)}: no country that is known here. The next push takes it out.", is_warning=True)


def _known(row: PhoneNumber, number: ProviderNumber, endpoint: str) -> list[NumberChange]:
    facts = newcomers.facts_of(number)
    details = []
    for name, words in (("inbound_agents", "Answered by"), ("outbound_agents", "Calls are made by")):
        if getattr(row, name) != facts[name]:
            before, after = in_words(getattr(row, name)) or "nobody", in_words(facts[name]) or "nobody"
            details.append(Told(f"{words} {after} instead of {before}."))
    for name, what in (("inbound_webhook_url", "calls"), ("inbound_sms_webhook_url", "messages")):
        if getattr(row, name) != facts[name]:
            was = _named(getattr(row, name), endpoint)
            left_us = bindings.is_ours(getattr(row, name), endpoint)
            text = f"About {what} UponAI asks {_named(facts[name], endpoint)} instead of {was}."
            details.append(Told(text, is_warning=left_us))
    if row.number_type != facts["number_type"]:
        details.append(Told(f"Its type is {facts['number_type'] or 'not told'}."))
    if row.missing_since is not None:
        back = Told("UponAI lists it again. It gets what its policy says.")
        return [NumberChange(row.e164, row.nickname, BACK, (back, *details))]
    return [NumberChange(row.e164, row.nickname, CHANGED, tuple(details))] if details else []


def _asked(url: str | None, endpoint: str) -> str:
    return f"About calls UponAI asks {_named(url, endpoint)}."


def _named(url: str | None, endpoint: str) -> str:
    if not url:
        return "no webhook"
    return "this console" if bindings.is_ours(url, endpoint) else without_secrets(url)


def in_words(names: Collection[Any]) -> str:
    """Up to some names, then how many more."""
    texts = [str(name) for name in names]
    if len(texts) <= 1:
        return "".join(texts)
    if len(texts) <= MOST_NAMES:
        return f"{', '.join(texts[:-1])} and {texts[-1]}"
    return f"{len(texts)}: {', '.join(texts[:MOST_NAMES])} …"
