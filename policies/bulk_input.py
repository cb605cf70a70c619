"""What a change of many phone numbers at once may ask for, checked before any number is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from policies.closing import ANSWERED, DROPPED
from policies.models import PhoneNumber, PolicyRevision
from policies.rules_input import CLOSING, FieldProblem, Refused, country_list_rules
from policies.words import as_people_write

DIRECTIONS: Final = ("inbound", "outbound")
WANTED: Final = (
    "policy",
    *(f"allowed_{direction}_country_list" for direction in DIRECTIONS),
    *(f"{verb}_{direction}_countries" for verb in ("add", "remove") for direction in DIRECTIONS),
    *("mode", "inbound_when_console_down", "confirm_unrestricted", "reason"),
)
"""The names of what can be asked for."""
NOTHING_ASKED: Final = "Say what is to change: policy, countries, mode, or what happens when the console is down."
EITHER_OR: Final = "Either follow another policy or change countries, not both at once."
SET_OR_CHANGED: Final = "Either send the whole list or what is to be added and removed, not both."
NOTHING_LEFT: Final = (
    "nothing would be left of the list of {what}, and UponAI reads an empty list as “every country”. " + CLOSING
)
CANNOT_LEAVE_OUT: Final = (
    "every country is allowed among {what}, and UponAI cannot leave one out of that. Give it a list first, or hold "
    "the country."
)
WHAT: Final = {"inbound": "those who may call it", "outbound": "those it may call"}
_EMPTY: Final = {"mode": "list", "countries": [], "class_rules": {}, "prefix_rules": []}


@dataclass(frozen=True, slots=True)
class Lists:
    """What becomes of one direction's countries: another list, or some more and some less."""

    is_set: bool = False
    countries: tuple[str, ...] | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.is_set or bool(self.added or self.removed)

    def of(self, rules: dict[str, Any], direction: str) -> dict[str, Any]:
        """The rules with it. Raises Refused, with a sentence that goes on from the number's name."""
        if self.is_set:
            countries = None if self.countries is None else list(self.countries)
            mode = "unrestricted" if countries is None else "list"
            return {**rules, "mode": mode, "countries": countries or []}
        if rules["mode"] == "unrestricted":
            if self.removed:
                sentence = CANNOT_LEAVE_OUT.format(what=WHAT[direction])
                raise Refused.one(f"remove_{direction}_countries", "unrestricted", sentence)
            return rules
        countries = sorted({*rules["countries"], *self.added} - {*self.removed})
        if not countries:
            sentence = NOTHING_LEFT.format(what=WHAT[direction])
            raise Refused.one(f"remove_{direction}_countries", "empty_list", sentence)
        return {**rules, "countries": countries}


@dataclass(frozen=True, slots=True)
class BulkEdit:
    """What is to become of each number; None leaves it as it is."""

    policy: int | None = None
    lists: Mapping[str, Lists] = field(default_factory=dict)
    mode: str | None = None
    when_down: str | None = None
    reason: str = ""

    @property
    def changes_lists(self) -> bool:
        return any(self.lists.values())

    @property
    def only_closes(self) -> bool:
        """Whether it takes countries away and gives none."""
        given = any(lists.is_set or lists.added for lists in self.lists.values())
        return self.changes_lists and not given

    def rules_of(self, revision: PolicyRevision) -> dict[str, dict[str, Any]]:
        return {name: self.lists[name].of(getattr(revision, name), name) for name in DIRECTIONS}


def read(given: Mapping[str, Any]) -> BulkEdit:
    """`given` is JSON, with the names that a number's own fields have. Raises Refused naming the field."""
    reason = given.get("reason") or ""
    confirmation = {"confirmed": bool(given.get("confirm_unrestricted")), "reason": reason}
    edit = BulkEdit(
        policy=given.get("policy"),
        lists={direction: _lists(given, direction, **confirmation) for direction in DIRECTIONS},
        mode=given.get("mode"),
        when_down=given.get("inbound_when_console_down"),
        reason=reason,
    )
    if edit.policy is not None and edit.changes_lists:
        raise Refused.one("policy", "conflict", EITHER_OR)
    if edit.mode not in (None, *PhoneNumber.Mode.values):
        raise Refused.one("mode", "invalid", 'mode is either "enforcing" or "observing".')
    if edit.when_down not in (None, ANSWERED, DROPPED):
        sentence = 'inbound_when_console_down is either "answered" or "dropped".'
        raise Refused.one("inbound_when_console_down", "invalid", sentence)
    if edit.policy is None and not edit.changes_lists and edit.mode is None and edit.when_down is None:
        raise Refused.one("", "nothing_to_do", NOTHING_ASKED)
    return edit


def _lists(given: Mapping[str, Any], direction: str, *, confirmed: bool, reason: str) -> Lists:
    name = f"allowed_{direction}_country_list"
    added = _codes(given.get(f"add_{direction}_countries"), f"add_{direction}_countries")
    removed = _codes(given.get(f"remove_{direction}_countries"), f"remove_{direction}_countries")
    if name in given:
        if added or removed:
            raise Refused.one(name, "conflict", SET_OR_CHANGED)
        rules = country_list_rules(_EMPTY, given[name], field=name, confirmed=confirmed, reason=reason)
        return Lists(True, None if rules["mode"] == "unrestricted" else tuple(rules["countries"]))
    if both := sorted({*added} & {*removed}):
        detail = f"{both[0]} cannot be added and removed at once."
        raise Refused.one(f"add_{direction}_countries", "conflict", detail)
    return Lists(added=added, removed=removed)


def _codes(value: Any, name: str) -> tuple[str, ...]:
    if value is None or value == []:
        return ()
    return tuple(country_list_rules(_EMPTY, value, field=name, confirmed=False, reason="")["countries"])


def problems_of(e164: str, refused: Refused) -> list[FieldProblem]:
    """What was refused of rules, said of one number that follows them."""
    return [
        FieldProblem(e164, problem.code, f"{as_people_write(e164)}: {problem.detail}") for problem in refused.problems
    ]
