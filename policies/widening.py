"""The question whether a widening needs a second person, asked inside the verbs, so that no door can forget it.

A verb does its work and asks at its end, in its transaction. Where a second person is needed, NeedsApproval leaves that
transaction and undoes all of it; what was asked for is then kept by `approvals.propose`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.audit import Acting
from accounts.models import Workspace
from accounts.scoping import current_workspace_id
from policies.engine import widenings as engine
from policies.engine.exposure import Exposure
from policies.engine.names import Direction
from policies.engine.widenings import Widening

__all__ = [
    "NeedsApproval",
    "Widening",
    "Wish",
    "approved",
    "between",
    "of_countries",
    "require",
    "together",
]


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants done: a verb of `approvals.VERBS` with its arguments, as JSON.

    `base_version`: what they had before them; where it has changed when a second person agrees, nothing is done.
    """

    verb: str
    about: str
    arguments: Mapping[str, Any]
    base_version: str = ""
    about_model: str = ""
    about_id: int | None = None
    reason: str = ""


class NeedsApproval(Exception):
    """Nothing was changed: it waits for a second person once `approvals.propose` has kept it."""

    def __init__(
        self, wish: Wish, widenings: tuple[Widening, ...], *, acting_user: Acting, now: datetime, exposure: Exposure
    ) -> None:
        super().__init__(f"{wish.about}: this opens something that needs a second person's approval.")
        self.workspace_id = current_workspace_id()
        self.wish, self.widenings = wish, widenings
        self.acting_user, self.now = acting_user, now
        self.exposure = exposure  # if it were done


@dataclass(slots=True)
class _Together:
    found: list[Widening] = field(default_factory=list)


_nobody_to_ask: ContextVar[bool] = ContextVar("nobody_to_ask", default=False)
_together: ContextVar[_Together | None] = ContextVar("widenings_together", default=None)


def require(
    wish: Wish, widenings: Iterable[Widening], *, acting_user: Acting, now: datetime, from_tier: str | None = None
) -> None:
    """Raises NeedsApproval where the workspace wants a second person for one of `widenings`.

    Called where everything is written already, in the transaction that the exception undoes. `from_tier`: the setting,
    where it is not the stored one that counts.
    """
    found = tuple(widenings)
    if not found or _nobody_to_ask.get():
        return
    if from_tier is None:
        from_tier = Workspace.objects.values_list("approval_tier", flat=True).get(pk=current_workspace_id())
    if not from_tier or not any(one.asks(from_tier) for one in found):
        return
    gathering = _together.get()
    if gathering is not None:
        gathering.found.extend(found)
        return
    raise NeedsApproval(wish, found, acting_user=acting_user, now=now, exposure=_exposure(now))


@contextmanager
def together(wish: Wish, *, acting_user: Acting, now: datetime) -> Iterator[None]:
    """Makes one wish of all that the verbs inside would ask for; raises NeedsApproval for it at the end.

    One within another belongs to the outer one.
    """
    if _together.get() is not None:
        yield
        return
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("What is asked for together is done in one transaction.")
    gathering = _Together()
    token = _together.set(gathering)
    try:
        yield
    finally:
        _together.reset(token)
    if gathering.found:
        found = tuple(gathering.found)
        raise NeedsApproval(wish, found, acting_user=acting_user, now=now, exposure=_exposure(now))


@contextmanager
def approved() -> Iterator[None]:
    """A second person has agreed to what the verbs inside do. For `approvals` alone."""
    token = _nobody_to_ask.set(True)
    try:
        yield
    finally:
        _nobody_to_ask.reset(token)


def between(
    about: str,
    before: Mapping[str, Mapping[str, Any]] | None,
    after: Mapping[str, Mapping[str, Any]],
    *,
    home_country: str = "",
) -> list[Widening]:
    """What the rules of both directions newly let through: {"inbound": …, "outbound": …} as in a revision. With one
    that widens comes what the other takes away: it is agreed to as well.

    `home_country`: the workspace's, from who asks about many.
    """
    home = home_country or _home_country()
    found = {
        name: engine.between(
            before[name] if before else None, after[name], about=about, direction=name.value, home_country=home
        )
        for name in Direction
    }
    if before and any(found.values()):
        found = {
            name: one or engine.narrowing(before[name], after[name], about=about, direction=name.value)
            for name, one in found.items()
        }
    return [one for one in found.values() if one is not None]


def of_countries(codes: Iterable[str], *, about: str, directions: Iterable[str], prefix: str = "") -> list[Widening]:
    """What lets these countries through whatever the rules say, in each of `directions`; of them only what begins
    with `prefix`, where one is given."""
    home, every = _home_country(), tuple(codes)
    return [
        engine.of_countries(every, about=about, direction=name, home_country=home, prefix=prefix) for name in directions
    ]


def _home_country() -> str:
    return str(Workspace.objects.only("home_country").get(pk=current_workspace_id()).home_country)


def _exposure(now: datetime) -> Exposure:
    """Of the rows as this transaction has written them."""
    from policies import exposure  # it reads what the gate loads, which verbs need not import

    return exposure.as_written(current_workspace_id(), now)
