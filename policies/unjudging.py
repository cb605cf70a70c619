"""What it opens when UponAI asks this console no longer about numbers, or gets back the lists of before.

And the wish for it, in the shape that `approvals` carries out later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from accounts.models import Workspace
from accounts.scoping import current_workspace_id
from policies.bulk_asking import merged
from policies.engine import widenings as engine
from policies.engine.names import Direction
from policies.engine.widenings import Widening
from policies.models import CountryPolicy, PhoneNumber
from policies.sync.lists import CountryLists
from policies.widening import Wish

ASKED_FOR_AT_ONCE: Final = 200
JUDGED_NO_LONGER: Final = "calls and messages that this console judges no longer"


def of_numbers(numbers: Iterable[PhoneNumber]) -> list[Widening]:
    """Of numbers about which UponAI asks somebody else from now on. Only observed ones are let through already."""
    return merged(_unjudged(number for number in numbers if number.mode == PhoneNumber.Mode.ENFORCING))


def of_lists(changes: Iterable[tuple[str, CountryLists, CountryLists]]) -> list[Widening]:
    """Of country lists at UponAI that others take the place of: number, before, after."""
    home = _home_country()
    found = (
        (e164, engine.between(_rules(was), _rules(will_be), about=e164, direction=name, home_country=home))
        for e164, before, after in changes
        for name, was, will_be in (
            (Direction.INBOUND.value, before.inbound, after.inbound),
            (Direction.OUTBOUND.value, before.outbound, after.outbound),
        )
    )
    return merged((e164, one) for e164, one in found if one is not None)


def to_ask_previous(numbers: Sequence[PhoneNumber]) -> Wish:
    first = numbers[0].e164 if numbers else ""
    about = first if len(numbers) == 1 else f"{len(numbers):,} numbers, such as {first}"
    ids = [number.pk for number in numbers]
    return Wish(
        "ask_previous",
        about=f"UponAI no longer asks this console about {about}",
        arguments={"phone_numbers": ids},
        base_version=version_of(ids),
    )


def to_leave_webhooks(number: PhoneNumber) -> Wish:
    return Wish(
        "leave_webhooks",
        about=f"UponAI goes on asking another webhook about {number.e164}, and not this console",
        arguments={"phone_number": number.pk},
        base_version=version_of([number.pk]),
        about_model="phonenumber",
        about_id=number.pk,
    )


def to_disconnect(put_back: Collection[str], *, at_once: bool) -> Wish:
    return Wish(
        "disconnect",
        about=f"Disconnecting from UponAI, which gets back the {' and '.join(sorted(put_back))} of before",
        arguments={"put_back": sorted(put_back), "at_once": at_once},
        base_version=version_of(None),
    )


def version_of(phone_number_ids: Sequence[int] | None) -> str:
    """Changes whenever one of these numbers is wanted otherwise, or one of all."""
    rows = PhoneNumber.objects.order_by("pk").values_list(
        "pk",
        "policy__current_revision",
        "mode",
        "asks_console",
        "put_back",
        "missing_since",
        "inbound_webhook_url",
        "inbound_sms_webhook_url",
    )
    wanted = None if phone_number_ids is None else set(phone_number_ids)
    if wanted is not None and len(wanted) <= ASKED_FOR_AT_ONCE:
        rows = rows.filter(pk__in=wanted)
    said = hashlib.sha256()
    for row in rows.iterator():
        if wanted is None or row[0] in wanted:
            said.update(repr(row).encode())
    return said.hexdigest()[:32]


def _unjudged(numbers: Iterable[PhoneNumber]) -> Iterator[tuple[str, Widening]]:
    """Rules that many share are looked at once."""
    home, known = _home_country(), dict[int, Widening]()
    policies = {row.pk: row for row in CountryPolicy.objects.select_related("current_revision")}
    for number in numbers:
        if number.policy_id not in known:
            revision = policies[number.policy_id].current_revision
            assert revision is not None  # noqa: S101  (a policy is created together with its first revision)
            known[number.policy_id] = engine.unjudged(
                revision.inbound,
                about=number.e164,
                direction=Direction.INBOUND.value,
                home_country=home,
                words=JUDGED_NO_LONGER,
            )
        yield number.e164, known[number.policy_id]


def _rules(countries: tuple[str, ...] | None) -> Mapping[str, Any]:
    return {"mode": "unrestricted" if countries is None else "list", "countries": list(countries or ())}


def _home_country() -> str:
    return str(Workspace.objects.only("home_country").get(pk=current_workspace_id()).home_country)
