"""How a digest is said: the same sentences on its page, in the text of its mail and in its HTML. No queries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from accounts.countries import CODES, flag, name_of
from monitoring.models import Digest
from policies import words

_FIGURES: Final = (
    ("calls", "Calls, chats and SMS", "{:,.0f}"),
    ("blocked", "Blocked", "{:,.0f}"),
    ("minutes", "Minutes", "{:,.0f}"),
    ("usd", "Spent", "${:,.2f}"),
)
_THEN: Final = {"daily": "that day", "weekly": "that week"}
_BEFORE: Final = {"daily": "the day before", "weekly": "the week before"}
SECTIONS: Final = (
    ("review", "Needs somebody", "Nothing waits for anybody."),
    ("observed", "Would have been blocked", "Nothing is merely observed, or it would have blocked nothing."),
    ("open", "Open, and perhaps not needed", "Nothing is open beyond what is used."),
)


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure beside the same of the period before."""

    name: str
    now: str
    before: str
    change: str


@dataclass(frozen=True, slots=True)
class Section:
    """Some lines, each {"text", "path"}; `empty` is what stands there without any."""

    title: str
    empty: str
    lines: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Said:
    """All of a digest, in words."""

    title: str
    sentence: str
    then: str
    before: str
    figures: tuple[Compared, ...]
    reasons: tuple[Compared, ...]
    countries: tuple[Compared, ...]
    sections: tuple[Section, ...]


def said(digest: Digest) -> Said:
    """In the active time zone, which is the workspace's."""
    content = digest.content
    return Said(
        title=title(digest),
        sentence=sentence(digest),
        then=_THEN.get(digest.period, "then"),
        before=_BEFORE.get(digest.period, "the period before"),
        figures=tuple(_compared(name, content["figures"][key], form) for key, name, form in _FIGURES),
        reasons=tuple(_compared(words.reason(row["key"]), row) for row in content["reasons"]),
        countries=tuple(_compared(_country(row["key"]), row) for row in content["countries"]),
        sections=tuple(Section(name, empty, tuple(content[key])) for key, name, empty in SECTIONS),
    )


def title(digest: Digest) -> str:
    first = timezone.localtime(digest.start)
    if digest.period == "daily":
        return f"{first:%A, %-d %B %Y}"
    last = timezone.localtime(digest.end) - timedelta(days=1)
    return f"Week of {first:%-d %B} to {last:%-d %B %Y}"


def sentence(digest: Digest) -> str:
    """ "1,204 calls, 38 blocked, $12.40 spent; 2 things need somebody." """
    figures, review = digest.content["figures"], len(digest.content["review"])
    calls, blocked = int(figures["calls"]["now"]), int(figures["blocked"]["now"])
    happened = f"{calls:,} call{'s' * (calls != 1)}, {blocked:,} blocked, ${figures['usd']['now']:,.2f} spent"
    if not calls and not blocked:
        happened = "No calls, and none blocked"
    needs = f"{review} thing{'s need' if review != 1 else ' needs'} somebody" if review else "nothing waits for anybody"
    return f"{happened}; {needs}."


def _compared(name: str, row: dict[str, float], form: str = "{:,.0f}") -> Compared:
    return Compared(name, form.format(row["now"]), form.format(row["before"]), _change(row["now"], row["before"]))


def _change(now: float, before: float) -> str:
    if now == before:
        return "same"
    if not before:
        return "new"
    percent = round((now - before) / before * 100)
    if percent > 1000:
        return f"{now / before:,.0f} times as much"
    return f"{percent:+d} %" if percent else "same"


def _country(code: str) -> str:
    return f"{flag(code)} {name_of(code)}" if code in CODES else code
