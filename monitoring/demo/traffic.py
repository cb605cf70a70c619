"""The demo's traffic: a day of a business as a list of attempts, and what would become of each if it is let in.

Pure and repeatable: the same seed and day give the same attempts, so an interrupted seeding can be continued.
Shapes follow published call-centre statistics: two peaks a day, busy Mondays, over-dispersed days (Brown et al.,
"Statistical Analysis of a Telephone Call Center", JASA 2005). Nothing here is judged or written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from math import exp, sqrt
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from monitoring.demo import peers
from policies.engine.types import Attempt, Channel, Direction

ROUND_THE_CLOCK: Final = (
    *(0.6, 0.4, 0.3, 0.3, 0.4, 0.8, 1.8, 3.6, 6.2, 7.8, 8.6, 8.4),
    *(6.6, 6.8, 7.4, 7.8, 7.6, 6.6, 5.4, 4.4, 3.4, 2.4, 1.6, 0.8),
)
OFFICE: Final = (0, 0, 0, 0, 0, 0, 0, 0.5, 8, 12, 13, 12, 6, 9, 10, 12, 11, 6, 1, 0.3, 0, 0, 0, 0)
FLAT: Final = (1,) * 24
WEEK: Final = (1.25, 1.0, 1.0, 1.0, 1.1, 0.55, 0.5)
OFFICE_WEEK: Final = (1.3, 1.0, 1.0, 1.0, 1.1, 0.12, 0.05)
EVERY_DAY: Final = (1.0,) * 7
GROWTH_A_WEEK: Final = 1.015
DAY_NOISE: Final = 0.12  # coefficient of variation of a day's level
REGULARS: Final = 250  # people who call again
SHARE_OF_REGULARS: Final = 0.2
LONGEST_CALL_SECONDS: Final = 3600

ENDINGS: Final = {
    Channel.PHONE_CALL: {
        "user_hangup": 58,
        "agent_hangup": 28,
        "voicemail_reached": 6,
        "call_transfer": 5,
        "inactivity": 2,
        "error_asr": 0.4,
    },
    Channel.WEB_CALL: {"user_hangup": 70, "agent_hangup": 22, "inactivity": 8},
    Channel.CHAT: {"": 1},
    Channel.SMS: {"": 1},
}
# How an attempt ends that reaches nobody.
FAILURES: Final = {
    (Channel.PHONE_CALL, Direction.OUTBOUND): {
        "dial_no_answer": 62,
        "dial_busy": 18,
        "user_declined": 9,
        "dial_failed": 7,
        "invalid_destination": 4,
    },
    (Channel.PHONE_CALL, Direction.INBOUND): {"concurrency_limit_reached": 1, "error_no_audio_received": 2},
    (Channel.WEB_CALL, Direction.INBOUND): {"error_user_not_joined": 1},
}


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of traffic of the business. `countries` are weights; `connected` the share that reaches someone."""

    name: str
    direction: Direction
    channel: Channel
    per_day: float
    phone_number: str = ""
    agent: str = ""
    public_key: str = ""
    origin: str = ""
    countries: Mapping[str, float] = field(default_factory=lambda: {"US": 1})
    hours: tuple[float, ...] = ROUND_THE_CLOCK
    week: tuple[float, ...] = WEEK
    connected: float = 1.0
    median_seconds: float = 120
    spread: float = 0.7
    peers: tuple[str | None, ...] = ()
    """Instead of countries: these ranges or texts."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of an attempt that is let in, in UponAI's words."""

    status: str
    disconnection_reason: str
    ring_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Planned:
    """An attempt of the demo. `reference` is UponAI's id of the call, if it comes to one."""

    at: datetime
    reference: str
    agent: str
    attempt: Attempt
    outcome: Outcome

    @property
    def ends_at(self) -> datetime:
        return self.at + timedelta(seconds=self.outcome.ring_seconds + self.outcome.seconds)


@dataclass(frozen=True, slots=True)
class Attack:
    """One evening on which somebody dials foreign number blocks through the public key of a web form."""

    starts_at: datetime
    noticed_at: datetime
    """When the policy was narrowed: from here on the same attempts are refused."""
    ends_at: datetime
    phone_number: str
    agent: str
    public_key: str
    origin: str
    per_minute: float = 4.5
    """Twenty running calls, UponAI's usual limit, at 217 s each allow 5.5 a minute."""
    blocks: tuple[tuple[str, str], ...] = (
        ("+3712123####", "4"),
        ("+3712640####", "7"),
        ("+220301####", "5"),
        ("+23276123###", ""),
    )
    addresses: tuple[str, ...] = ("198.51.100.23", "198.51.100.77", "198.51.100.78", "198.51.100.141")


@dataclass(frozen=True, slots=True)
class Business:
    """What is needed to play one workspace's days. `scale` makes all of it smaller or larger."""

    seed: str
    time_zone: ZoneInfo
    opened_on: date
    streams: tuple[Stream, ...]
    attack: Attack | None = None
    subjects: tuple[str, ...] = ()
    scale: float = 1.0


CONCURRENCY_LIMIT: Final = 20


def attempts_of_day(business: Business, day: date) -> list[Planned]:
    """Every attempt of one local day, in order of time."""
    random = Random(f"{business.seed} {day.isoformat()}")  # noqa: S311  (repeatable, no secret)
    level = GROWTH_A_WEEK ** ((day - business.opened_on).days / 7) * _noise(random)
    drafts = [draft for stream in business.streams for draft in _stream(business, stream, day, level, random)]
    if business.attack and business.attack.starts_at.astimezone(business.time_zone).date() == day:
        drafts += _attack(business.attack, business.scale, random)
    drafts.sort(key=lambda planned: (planned.at, planned.reference))
    return drafts


def _noise(random: Random) -> float:
    shape = 1 / DAY_NOISE**2
    return random.gammavariate(shape, 1 / shape)


def _stream(business: Business, stream: Stream, day: date, level: float, random: Random) -> Iterator[Planned]:
    mean = stream.per_day * stream.week[day.weekday()] * level * business.scale
    midnight = datetime.combine(day, time(), business.time_zone)
    for number in range(_poisson(mean, random)):
        hour = random.choices(range(24), stream.hours)[0]
        # Local hours first: on the day the clocks change, the morning still begins at eight.
        local = midnight.replace(hour=hour) + timedelta(seconds=random.uniform(0, 3599))
        yield Planned(
            at=local.astimezone(UTC),
            reference=_reference(stream, f"{business.seed} {day} {stream.name} {number}"),
            agent=stream.agent,
            attempt=_attempt(business, stream, random),
            outcome=_outcome(stream, random),
        )


def _attempt(business: Business, stream: Stream, random: Random) -> Attempt:
    is_web = stream.channel in (Channel.WEB_CALL, Channel.CHAT)
    peer = None
    if not is_web:
        calls_again = random.random() < SHARE_OF_REGULARS
        peer = _regular(business.seed, stream, random) if calls_again else _peer(stream, random)
    own = stream.phone_number or None
    is_inbound = stream.direction == Direction.INBOUND
    known = business.subjects and is_web and random.random() < 0.6
    address = _address(random)
    return Attempt(
        direction=stream.direction,
        channel=stream.channel,
        from_number=peer if is_inbound else own,
        to_number=own if is_inbound else peer,
        ip=address if stream.origin else None,
        public_key=stream.public_key or None,
        origin=stream.origin or None,
        subject=random.choice(business.subjects) if known else None,
    )


def _regular(seed: str, stream: Stream, random: Random) -> str | None:
    """One of the people who have called before: the same ones on every day."""
    person = Random(f"{seed} {stream.name} regular {random.randrange(REGULARS)}")  # noqa: S311
    return _peer(stream, person)


def _peer(stream: Stream, random: Random) -> str | None:
    if stream.peers:
        chosen = random.choice(stream.peers)
        return peers.invent((chosen,), random) if chosen else None
    country = random.choices(list(stream.countries), list(stream.countries.values()))[0]
    nearby = country == "US" and random.random() < 0.6
    return peers.invent(peers.NEARBY if nearby else peers.RANGES[country], random)


def _outcome(stream: Stream, random: Random) -> Outcome:
    ring = random.uniform(2, 12)
    failures = FAILURES.get((stream.channel, stream.direction))
    if failures and random.random() >= stream.connected:
        reason = random.choices(list(failures), list(failures.values()))[0]
        status = "error" if reason.startswith(("error", "concurrency")) else "not_connected"
        return Outcome(status, reason, random.uniform(4, 35), 0.0)
    endings = ENDINGS[stream.channel]
    reason = random.choices(list(endings), list(endings.values()))[0]
    if stream.channel == Channel.SMS:
        return Outcome("ended", reason, 0.0, 0.0)
    seconds = min(random.lognormvariate(0, stream.spread) * stream.median_seconds, LONGEST_CALL_SECONDS)
    if reason == "voicemail_reached":
        seconds = random.uniform(20, 35)
    return Outcome("error" if reason.startswith("error") else "ended", reason, ring, round(seconds, 3))


def _attack(attack: Attack, scale: float, random: Random) -> Iterator[Planned]:
    """A few trial calls, then as many as the concurrency limit lets through."""
    moments = [attack.starts_at - timedelta(minutes=minutes) for minutes in (26, 11)]
    moment, step = attack.starts_at, 60 / (attack.per_minute * scale)
    while moment < attack.ends_at:
        moments.append(moment)
        # A script's gaps are nearly regular.
        moment += timedelta(seconds=step * random.uniform(0.75, 1.25))
    running: list[datetime] = []
    for number, at in enumerate(moments):
        seconds = min(random.lognormvariate(0, 0.4) * 200, LONGEST_CALL_SECONDS)
        outcome = Outcome("ended", "user_hangup", random.uniform(0, 2), round(seconds, 3))
        if random.random() > 0.95:
            outcome = Outcome("not_connected", "dial_failed", 4.0, 0.0)
        running = [end for end in running if end > at]
        if len(running) >= CONCURRENCY_LIMIT:
            continue
        pattern, block = random.choice(attack.blocks)
        planned = Planned(
            at=at,
            reference=f"call_{_digest(f'{attack.phone_number} attack {attack.starts_at} {number}')}",
            agent=attack.agent,
            attempt=Attempt(
                direction=Direction.OUTBOUND,
                channel=Channel.PHONE_CALL,
                from_number=attack.phone_number,
                to_number=peers.invent_in_block(pattern, block, random),
                ip=random.choice(attack.addresses),
                public_key=attack.public_key,
                origin=attack.origin,
            ),
            outcome=outcome,
        )
        if at < attack.noticed_at:
            running.append(planned.ends_at)
        yield planned


def _reference(stream: Stream, text: str) -> str:
    kind = "chat" if stream.channel in (Channel.CHAT, Channel.SMS) else "call"
    return f"{kind}_{_digest(text)}"


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=12).hexdigest()


def _poisson(mean: float, random: Random) -> int:
    """A Poisson count; beyond 30 the normal distribution is as good and quicker."""
    if mean > 30:
        return max(0, round(random.gauss(mean, sqrt(mean))))
    count, product, limit = 0, random.random(), exp(-mean)
    while product > limit:
        count, product = count + 1, product * random.random()
    return count


def _address(random: Random) -> str:
    """An address of the networks set aside for documentation (RFC 5737, RFC 3849); a fifth share an office's."""
    if random.random() < 0.2:
        return f"203.0.113.{random.choice((10, 20, 30))}"
    if random.random() < 0.4:
        return f"2001:db8:{random.randrange(1, 0x4000):x}::{random.randrange(1, 0x10000):x}"
    return f"{random.choice(('192.0.2', '203.0.113'))}.{random.randrange(1, 255)}"
