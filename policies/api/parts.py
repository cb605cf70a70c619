"""A change of a number in parts, where one needs a second person: what closes is done at once, the rest waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db import transaction

from policies import approvals
from policies.actions import KEEP
from policies.models import PhoneNumber, ProposedChange
from policies.widening import NeedsApproval

LISTS: Final = {"allowed_inbound_country_list": "inbound", "allowed_outbound_country_list": "outbound"}


class Parts:
    """Made inside a transaction: what is done and what is kept for a second person is so together or not at all."""

    def __init__(self) -> None:
        self.done: dict[str, Any] = {}
        self.waiting: list[ProposedChange] = []

    def do(self, fields: Mapping[str, Any], verb: Callable[[], object]) -> None:
        """Calls the verb, or keeps what it asks for. `fields`: what of the request is done by it."""
        try:
            with transaction.atomic():
                verb()
        except NeedsApproval as needs:
            self.waiting.append(approvals.propose(needs))
        else:
            self.done |= fields


def narrowed(number: PhoneNumber, given: Mapping[str, Any]) -> dict[str, Any]:
    """The lists of `given` less what they would newly allow, where that takes something away and leaves something."""
    found = {}
    for name in LISTS.keys() & given.keys():
        rules = getattr(number.policy.current_revision, LISTS[name])
        wanted = given[name]
        if wanted is None:
            continue
        codes = {str(code).upper() for code in wanted}
        has = codes if rules["mode"] == "unrestricted" else set(rules["countries"])
        kept = sorted(codes & has)
        if kept and (rules["mode"] == "unrestricted" or kept != sorted(has)):
            found[name] = kept
    return found


def list_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """The lists by the names that the verb has for them."""
    return {f"{direction}_countries": given.get(name, KEEP) for name, direction in LISTS.items()}
