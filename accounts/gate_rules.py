"""What the gate knows of limits, KYC rules and numbers. It is built on this package, and lends its knowledge to it.

`policies` does so when the applications are loaded; nothing here knows how it judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from accounts.audit import Acting
from accounts.models import PublicKey, Workspace

PUBLIC_KEY = "public_key"
WORKSPACE = "workspace"


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One limit as a form shows it. `measure` is the engine's: attempts, distinct, running, money or seconds.

    `usual` is what holds where nothing is set, as (amount, window in seconds); `usual_words` says it, and where it is
    from. Larger than `exact_up_to`, it may let through more than it promises.
    """

    name: str
    title: str
    measure: str
    usual: tuple[float, float] | None
    usual_words: str
    hint: str = ""
    exact_up_to: int | None = None


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What became of the attempts with a key since midnight."""

    attempts: int
    limited: int


class GateRules(Protocol):
    def read_limits(self, place: str, value: Any) -> dict[str, Any]:
        """The limits as they are stored. Raises ValidationError, which names the limit."""

    def read_kyc_rules(self, value: Any) -> dict[str, Any]:
        """The KYC rules as they are stored. Raises ValidationError."""

    def workspace_limit_rows(self) -> list[LimitRow]:
        """Every limit that a workspace can set, in the order in which they are read."""

    def key_limit_rows(self, workspace_id: int, public_key: PublicKey | None) -> list[LimitRow]:
        """Every limit that a key can set; None for one that is yet to be minted."""

    def effective_limits(self, keys: Sequence[PublicKey]) -> dict[int, dict[str, dict[str, Any]]]:
        """What holds for attempts with each of these keys, by the key's row: limit, window and source by name."""

    def fraud_protection_limits(self, public_key: PublicKey) -> list[str]:
        """What Fraud Protection allows from one IP address to one number, such as "3 in 10 minutes"."""

    def use_today(self, public_key: PublicKey, now: datetime) -> KeyUse: ...

    def owns_number(self, e164: str) -> bool:
        """Whether it is a number of the workspace in scope."""

    def ask_about_settings(
        self,
        before: Mapping[str, Any],
        changes: Mapping[str, Any],
        workspace: Workspace,
        acting_user: Acting,
        now: datetime,
    ) -> None:
        """Whether a second person has to agree to settings by which less is asked for. What it raises undoes them."""

    def ask_to_observe_key(
        self,
        public_key: PublicKey,
        before: Mapping[str, Any] | None,
        changes: Mapping[str, Any],
        acting_user: Acting,
        now: datetime,
    ) -> None:
        """The same for a key of which nothing is to be enforced; `before` None for one that was just minted."""

    def tell(self, workspace_id: int, version: int) -> None:
        """Tells every process of the gate that its snapshot is old."""


_lent: list[GateRules] = []


def lend(rules: GateRules) -> None:
    _lent[:] = [rules]


def of_the_gate() -> GateRules:
    return _lent[0]
