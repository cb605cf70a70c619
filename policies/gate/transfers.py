"""Where a running call is transferred to is judged like a call there; a call that must not go on is ended.

UponAI transfers without asking, and tells afterwards: what may not be called may still ring for some seconds.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from policies import calls_to_end
from policies.engine.decide import decide
from policies.engine.types import Attempt, Channel, Direction, Reason, Verdict, VerdictKind
from policies.gate import recorder
from policies.gate.loading import load

EVENT: Final = "transfer_started"
TRANSFERS: Final = uuid.UUID("7d0c3f0e-5b0d-4d39-9a0b-3d6a1f7f2c52")
"""Namespace of these decisions' ids: an event that comes twice is judged once."""
CREDENTIAL: Final = "transfer"
"""What stands in the place of a credential: nobody asked, UponAI told."""
# Nothing about the destination: a web call has no number of ours that it could come from.
_ABOUT_OUR_SIDE: Final = frozenset({Reason.UNKNOWN_NUMBER, Reason.NO_POLICY})


@dataclass(frozen=True, slots=True)
class Transfer:
    """A call that is being transferred. The two numbers are as UponAI told them."""

    call_id: str
    own_number: Any
    destination: Any
    started: Any

    @property
    def identity(self) -> str:
        """Equal for all deliveries of one event."""
        told = orjson.dumps([self.call_id, self.started, self.destination], default=str)
        return hashlib.sha256(told).hexdigest()


def read(payload: Mapping[str, Any]) -> Transfer | None:
    """The transfer that an event tells of; None where it names no call."""
    call = payload.get("call")
    if not isinstance(call, Mapping):
        return None
    call_id = call.get("call_id")
    if not isinstance(call_id, str) or not 0 < len(call_id) <= 120 or "\x00" in call_id:
        return None
    destination = payload.get("transfer_destination") or call.get("transfer_destination")
    # The extension is dialled once somebody has answered; it does not change who that is.
    number = destination.get("number") if isinstance(destination, Mapping) else destination
    is_inbound = call.get("direction") == Direction.INBOUND
    own = call.get("to_number") if is_inbound else call.get("from_number")
    return Transfer(call_id, own, number, call.get("start_timestamp"))


def judge(workspace_id: int, transfer: Transfer, *, now: datetime) -> Verdict:
    """Judges and records a transfer and has the call ended that must not go on. In the transaction of the caller."""
    attempt = Attempt(
        direction=Direction.OUTBOUND,
        channel=Channel.PHONE_CALL,
        from_number=transfer.own_number,
        to_number=transfer.destination,
        call_reference=transfer.call_id,
    )
    verdict = decide(attempt, load(workspace_id).engine, at_ms=int(now.timestamp() * 1000))
    decision_id = uuid.uuid5(TRANSFERS, f"{workspace_id}:{transfer.identity}")
    facts = recorder.facts(attempt, verdict, decision_id=decision_id, at=now, credential=CREDENTIAL)
    recorder.write(workspace_id, [facts], now=now)
    if _must_end(transfer, verdict):
        calls_to_end.ask(call_id=transfer.call_id, decision_id=decision_id, now=now)
    return verdict


def _must_end(transfer: Transfer, verdict: Verdict) -> bool:
    """A challenge cannot be put to somebody who is on the phone already, so it ends the call as well."""
    if verdict.verdict in (VerdictKind.ALLOW, VerdictKind.GUARD):
        return False
    return bool(transfer.own_number) or bool(set(verdict.reasons) - _ABOUT_OUR_SIDE)
