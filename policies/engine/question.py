"""One attempt with everything the checks look at, resolved once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self

from accounts.countries import ExposureTier, exposure_tier
from policies.engine.holds import Subjects
from policies.engine.numbers import understand
from policies.engine.types import (
    NOBODY,
    WEB_CHANNELS,
    Approval,
    Attempt,
    Counts,
    Direction,
    DirectionRules,
    HoldSnapshot,
    KeySnapshot,
    NumberSnapshot,
    Peer,
    PolicySnapshot,
    Snapshot,
)

LEVEL_OF_A_PERSON: Final = 1
"""From this KYC level on somebody has shown to be a person, which answers a challenge."""


@dataclass(slots=True)
class Question:
    attempt: Attempt
    snapshot: Snapshot
    counts: Counts
    peer: Peer
    has_peer: bool
    key: KeySnapshot | None
    number: NumberSnapshot | None
    policy: PolicySnapshot | None
    rules: DirectionRules | None
    is_inbound: bool
    at_ms: int | None
    is_challenged: bool = field(default=False, init=False)  # a class or prefix rule asks for a captcha
    _subjects: Subjects | None = field(default=None, init=False)
    _is_trusted: bool | None = field(default=None, init=False)

    @classmethod
    def of(cls, attempt: Attempt, snapshot: Snapshot, counts: Counts, at_ms: int | None = None) -> Self:
        inbound = attempt.direction == Direction.INBOUND
        has_peer = attempt.channel not in WEB_CHANNELS or attempt.peer_number is not None
        peer = NOBODY
        if has_peer:
            peer = understand(attempt.peer_number, role="caller" if inbound else "destination")
        key = None
        if attempt.public_key is not None and not inbound and isinstance(attempt.public_key, str):
            key = snapshot.keys.get(attempt.public_key)
        number = _own_number(attempt, snapshot, key)
        policy = snapshot.policies.get(number.policy_id) if number and number.policy_id is not None else None
        if policy is None and key is not None and attempt.channel in WEB_CHANNELS:
            policy = _policy_of_key(key, snapshot)
        rules = policy.rules(attempt.direction) if policy else None
        return cls(attempt, snapshot, counts, peer, has_peer, key, number, policy, rules, inbound, at_ms)

    @property
    def subjects(self) -> Subjects:
        """What about this attempt can be held, opened, trusted or listed."""
        if self._subjects is None:
            attempt = self.attempt
            self._subjects = Subjects(
                phone_number=self.number.e164 if self.number else None,
                key=_text(attempt.public_key),
                peer=self.peer.e164,
                country=self.peer.country,
                ip=_text(attempt.ip),
                subject=_text(attempt.subject),
            )
        return self._subjects

    @property
    def is_trusted(self) -> bool:
        if self._is_trusted is None:
            trusted = self.snapshot.trusted
            attempt = self.attempt
            self._is_trusted = bool(trusted.every) and bool(
                trusted.covering(self.subjects, attempt.direction, attempt.channel, self.at_ms)
            )
        return self._is_trusted

    @property
    def opens(self) -> tuple[HoldSnapshot, ...]:
        if not self.snapshot.opens.every:
            return ()
        attempt = self.attempt
        return self.snapshot.opens.covering(self.subjects, attempt.direction, attempt.channel, self.at_ms)

    @property
    def is_observed(self) -> bool:
        """Whether all that may be observed of it is, and not enforced."""
        return bool(
            (self.number is not None and self.number.observing)
            or (self.key is not None and self.key.observing)
            or (self.rules is not None and self.rules.observing)
        )

    @property
    def approvals(self) -> tuple[Approval, ...]:
        subject = _text(self.attempt.subject)
        return self.snapshot.subjects.get(subject, ()) if subject else ()

    @property
    def counting(self) -> tuple[Approval, ...]:
        """The subject's approvals that count at that time, whatever they were for."""
        return tuple(one for one in self.approvals if one.counts_at(self.at_ms))

    @property
    def covering(self) -> tuple[Approval, ...]:
        """Those of them whose declared use this attempt is. Who calls in declares nothing."""
        if self.is_inbound or not self.approvals:
            return self.counting
        channel, country = self.attempt.channel.value, self.peer.country
        return tuple(one for one in self.counting if one.covers(channel, country, has_peer=self.has_peer))

    @property
    def level(self) -> int:
        """The KYC level that the subject has at that time; 0 where there is none."""
        return max((one.level for one in self.counting), default=0)

    @property
    def is_person(self) -> bool:
        return self.level >= LEVEL_OF_A_PERSON

    @property
    def is_home(self) -> bool:
        """Whether the other side is in the workspace's home country, and so always known to it."""
        return self.peer.country is not None and self.peer.country == self.snapshot.home_country

    @property
    def tier(self) -> ExposureTier | None:
        """How exposed the destination is; None where none is dialled. Calls at home are normal, wherever that is."""
        if not self.has_peer or self.is_inbound:
            return None
        return ExposureTier.NORMAL if self.is_home else exposure_tier(self.peer.country)


def _own_number(attempt: Attempt, snapshot: Snapshot, key: KeySnapshot | None) -> NumberSnapshot | None:
    """Ours, as it is given; what a key calls from is its own number where none is."""
    value = attempt.own_number
    if value is None and key is not None and key.phone_number and attempt.channel not in WEB_CHANNELS:
        value = key.phone_number
    if not isinstance(value, str):
        return None
    known = snapshot.numbers.get(value)
    if known is not None:
        return known
    return snapshot.numbers.get(understand(value, role="caller").e164 or "")


def _policy_of_key(key: KeySnapshot, snapshot: Snapshot) -> PolicySnapshot | None:
    """On web channels no number takes part; the policy of the key's own says what is asked of visitors."""
    number = snapshot.numbers.get(key.phone_number)
    return snapshot.policies.get(number.policy_id) if number and number.policy_id is not None else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
