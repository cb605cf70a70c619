"""What was counted, put into a verdict: the checks `limits` and `caps`, and a verdict settled by them afterwards.

`decide` with the usages and `settle` of what it said without them come to the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from policies.engine import counterfactuals
from policies.engine.charging import CAPS
from policies.engine.counterfactuals import Counterfactual, length_of
from policies.engine.declared import DECLARED_VOLUME
from policies.engine.limits import MICRO, Charge, Measure, Usage
from policies.engine.types import Check, CheckResult, Reason, TraceOutcome, VerdictKind

STRENGTH: Final = MappingProxyType(
    {VerdictKind.BLOCK: 0, VerdictKind.CHALLENGE: 1, VerdictKind.GUARD: 2, VerdictKind.ALLOW: 3}
)
LOST: Final = frozenset({VerdictKind.BLOCK, VerdictKind.CHALLENGE})
NO_ADDRESS: Final = "no IP address was told, so IP limits are skipped"
HELD_BACK: Final = "held back while the live store is away or recovers"
_REASONS: Final = MappingProxyType(
    {
        Measure.ATTEMPTS: Reason.RATE_LIMITED,
        Measure.DISTINCT: Reason.RATE_LIMITED,
        Measure.RUNNING: Reason.CONCURRENCY_CAP_REACHED,
        Measure.MONEY: Reason.SPEND_CAP_REACHED,
    }
)
_COUNTED: Final = (Check.LIMITS, Check.CAPS)


@dataclass(frozen=True, slots=True)
class Pending:
    """A check that is still to be counted. `note`: what its line says in any case. `line`: what is said meanwhile."""

    check: Check
    is_skipped: bool
    note: str | None
    line: CheckResult


@lru_cache(maxsize=64)
def pending(check: Check, *, is_skipped: bool = False, note: str | None = None) -> Pending:
    outcome = TraceOutcome.SKIPPED if is_skipped else TraceOutcome.NOT_EVALUATED
    return Pending(check, is_skipped, note, CheckResult(check, outcome, note))


def counted(open_check: Pending, charges: Sequence[Charge], usages: Sequence[Usage]) -> CheckResult:
    """One line for all limits, or all caps, of an attempt: the tightest one is told.

    Raises ValueError unless there is one usage for each charge.
    """
    if open_check.is_skipped:
        return open_check.line
    is_caps = open_check.check == Check.CAPS
    found = [
        (charge, usage)
        for charge, usage in zip(charges, usages, strict=True)
        if (charge.measure in CAPS) == is_caps and usage.counted
    ]
    short = [(charge, usage) for charge, usage in found if usage.wait_ms]
    if short:
        return _failed(open_check, short)
    if not found:
        return CheckResult(open_check.check, TraceOutcome.PASS, open_check.note)
    charge, usage = max(found, key=_fullness)
    return CheckResult(open_check.check, TraceOutcome.PASS, _told(open_check, charge, usage), _shown_limit(charge))


def _severity(entry: tuple[Charge, Usage]) -> tuple[bool, bool, int]:
    """What is enforced goes before what is observed, a block before a guard, the longest wait before shorter ones."""
    charge, usage = entry
    return not charge.enforced, charge.guards, -usage.wait_ms


def _fullness(entry: tuple[Charge, Usage]) -> float:
    charge, usage = entry
    return usage.used / (_size(charge) or 1)


def _size(charge: Charge) -> float:
    return charge.limit.limit * (MICRO if charge.measure == Measure.MONEY else 1)


def _failed(open_check: Pending, short: Sequence[tuple[Charge, Usage]]) -> CheckResult:
    charge, usage = min(short, key=_severity)
    held_back = _is_held_back(charge, usage)
    told = _told(open_check, charge, usage)
    return CheckResult(
        open_check.check,
        TraceOutcome.FAIL,
        f"{told}; {HELD_BACK}" if held_back else told,
        _shown_limit(charge),
        _REASONS[charge.measure],
        VerdictKind.GUARD if charge.guards else VerdictKind.BLOCK,
        _when(charge, usage, [one for one in short if one[0].enforced == charge.enforced]),
        observed=not charge.enforced,
        held_back=held_back,
    )


def _is_held_back(charge: Charge, usage: Usage) -> bool:
    """It waits although its count leaves room: lost counters are full for a while; without the store less passes."""
    return usage.wait_ms > 0 and usage.used + max(charge.amount, 1) <= _size(charge)


def _told(open_check: Pending, charge: Charge, usage: Usage) -> str:
    told = f"{DECLARED_VOLUME if charge.declared else charge.name}: {_amount(charge, usage.used)}"
    if charge.measure == Measure.MONEY:
        told += f" and {_dollars(charge.amount)} for this one"
    return f"{told}; {open_check.note}" if open_check.note else told


def _shown_limit(charge: Charge) -> str:
    grows = f", growing to {charge.declared}" if charge.declared > charge.limit.limit else ""
    return _amount(charge, _size(charge)) + grows


def _amount(charge: Charge, used: float) -> str:
    """3 → "3 in 10 min"."""
    only_new = ", new destinations" if charge.only_new else ""
    if charge.measure == Measure.RUNNING:
        return f"{used:g} running{only_new}"
    amount = _dollars(used) if charge.measure == Measure.MONEY else f"{used:g}"
    return f"{amount} in {length_of(round(charge.limit.window_seconds))}{only_new}"


def _dollars(micro: float) -> str:
    """Never shown as less than it is."""
    cents = -(-round(micro) // 10_000)
    return f"${cents // 100:,}" if cents % 100 == 0 else f"${cents / 100:,.2f}"


def _when(charge: Charge, usage: Usage, short: Sequence[tuple[Charge, Usage]]) -> Counterfactual | None:
    """When there is room again for all of `short`, said of the tightest; never for what exceeds a limit by itself."""
    if any(_size(one) < max(one.amount, 1) for one, _usage in short):
        return None
    wait_ms = max(one.wait_ms for _charge, one in short)
    if charge.measure == Measure.RUNNING:
        return counterfactuals.wait(wait_ms, f"when one of {usage.used:g} running calls has ended")
    if charge.measure == Measure.MONEY:
        window = length_of(round(charge.limit.window_seconds)).removeprefix("1 ")
        below = _dollars(_size(charge))
        return counterfactuals.wait(wait_ms, f"in {{}}, when spending of the last {window} falls below {below}")
    return counterfactuals.wait(wait_ms)


def wait_seconds(charges: Sequence[Charge], usages: Sequence[Usage]) -> int | None:
    """When everything that blocks has room again; None where nothing does."""
    waits = [
        usage.wait_ms
        for charge, usage in zip(charges, usages, strict=True)
        if usage.counted and usage.wait_ms and charge.enforced and not charge.guards
    ]
    return max(-(-max(waits) // 1000), 1) if waits else None


def settle(shown: Mapping[str, Any], charges: Sequence[Charge], usages: Sequence[Usage]) -> dict[str, Any]:
    """The published verdict with what was counted for the attempt.

    `shown` is the same without: its lines of limits and caps were not evaluated. One that is lost already stays as it
    is. Raises ValueError unless there is one usage for each charge.
    """
    if VerdictKind(shown["verdict"]) in LOST:
        return dict(shown)
    lines = [_recount(line, charges, usages) for line in shown["trace"]]
    failed = [line for line in lines if isinstance(line, CheckResult) and line.outcome == TraceOutcome.FAIL]
    enforced = [line for line in failed if not line.observed]
    settled = dict(shown)
    settled["trace"] = [line.as_dict() if isinstance(line, CheckResult) else line for line in lines]
    settled["degraded"] = bool(shown.get("degraded")) or any(line.held_back for line in failed)
    if enforced:
        settled |= _decided(shown, enforced)
    if len(enforced) < len(failed) or "would_be" in shown:
        settled["would_be"] = _would_be(shown, failed)
        if _rank(settled["would_be"]) >= _rank(settled):
            del settled["would_be"]
    return settled


def _recount(line: Mapping[str, Any], charges: Sequence[Charge], usages: Sequence[Usage]) -> Any:
    if line["check"] not in _COUNTED or line["outcome"] != TraceOutcome.NOT_EVALUATED:
        return line
    return counted(pending(Check(line["check"]), note=line["value"]), charges, usages)


def _decided(shown: Mapping[str, Any], enforced: Sequence[CheckResult]) -> dict[str, Any]:
    kind = VerdictKind(shown["verdict"])
    earlier = [(STRENGTH[kind], str(reason)) for reason in shown["reasons"]]
    found = [(STRENGTH[line.effect], line.reason.value) for line in enforced if line.reason is not None]
    reasons = list(dict.fromkeys(reason for _strength, reason in sorted(earlier + found, key=lambda entry: entry[0])))
    changes: list[Any] = []
    if shown["counterfactuals"] or not shown["reasons"]:
        found_changes = [line.counterfactual for line in sorted(enforced, key=lambda line: STRENGTH[line.effect])]
        if None not in found_changes:
            changes = _in_order(shown, kind, enforced)
    strongest = min([kind, *(line.effect for line in enforced)], key=lambda one: STRENGTH[one])
    return {"verdict": strongest.value, "reason": reasons[0], "reasons": reasons, "counterfactuals": changes}


def _in_order(shown: Mapping[str, Any], kind: VerdictKind, enforced: Sequence[CheckResult]) -> list[Any]:
    earlier = [(STRENGTH[kind], dict(change)) for change in shown["counterfactuals"]]
    found = [(STRENGTH[line.effect], dict(line.counterfactual or {})) for line in enforced]
    return [change for _strength, change in sorted(earlier + found, key=lambda entry: entry[0])]


def _would_be(shown: Mapping[str, Any], failed: Sequence[CheckResult]) -> dict[str, Any]:
    earlier = shown.get("would_be") or {"verdict": shown["verdict"], "reason": shown["reason"]}
    found = [{"verdict": line.effect.value, "reason": line.reason.value if line.reason else None} for line in failed]
    return dict(min([earlier, *found], key=_rank))


def _rank(shown: Mapping[str, Any]) -> int:
    return STRENGTH[VerdictKind(shown["verdict"])]
