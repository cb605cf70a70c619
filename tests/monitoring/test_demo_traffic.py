"""The demo's traffic: repeatable, believable, and to numbers that the engine understands."""

from __future__ import annotations

import ipaddress
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from accounts.countries import is_sanctioned
from monitoring.demo import cast, peers
from monitoring.demo.traffic import CONCURRENCY_LIMIT, attempts_of_day
from policies.engine.numbers import understand
from policies.engine.types import Channel, Direction

ANCHOR = datetime(2026, 3, 12, 15, tzinfo=UTC)
OPENED_ON = date(2026, 2, 10)
MONDAY, SUNDAY = date(2026, 3, 2), date(2026, 3, 1)
KEYS = {cast.WIDGET_KEY: "pk_widget", cast.CHAT_KEY: "pk_chat", cast.REGISTERED_KEY: "public_key_old"}
DOCUMENTATION = [
    ipaddress.ip_network(network) for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]


@pytest.fixture(scope="module")
def business():
    return cast.first_business(anchor=ANCHOR, opened_on=OPENED_ON, keys=KEYS)


@pytest.fixture(scope="module")
def month(business):
    days = [OPENED_ON + timedelta(days=number) for number in range(30)]
    return [item for day in days for item in attempts_of_day(business, day)]


def test_the_same_day_is_the_same_again_and_another_day_is_not(business):
    assert attempts_of_day(business, MONDAY) == attempts_of_day(business, MONDAY)
    assert attempts_of_day(business, MONDAY) != attempts_of_day(business, MONDAY + timedelta(days=1))


@pytest.mark.parametrize("country", sorted(peers.RANGES))
def test_invented_numbers_are_valid_and_belong_to_their_country(country):
    source = Random(country)
    for pattern in peers.RANGES[country]:
        for _ in range(25):
            peer = understand(peers.invent((pattern,), source), role="destination")
            assert (peer.country, peer.problem) == (country, None)


def test_numbers_in_north_america_are_fictional_ones():
    for pattern in (*peers.RANGES["US"], *peers.RANGES["CA"], *peers.NEARBY, *peers.RANGES["DO"]):
        assert pattern[5:] == "55501##"


def test_a_month_is_about_twenty_thousand_attempts_on_every_channel_and_direction(month):
    assert 17_000 < len(month) < 23_000
    kinds = Counter((item.attempt.channel, item.attempt.direction) for item in month)
    assert set(kinds) == {
        (Channel.PHONE_CALL, Direction.INBOUND),
        (Channel.PHONE_CALL, Direction.OUTBOUND),
        (Channel.SMS, Direction.INBOUND),
        (Channel.SMS, Direction.OUTBOUND),
        (Channel.WEB_CALL, Direction.INBOUND),
        (Channel.CHAT, Direction.INBOUND),
    }
    assert min(kinds.values()) > 300


def test_every_attempt_has_a_reference_of_its_own_and_a_number_of_the_business(month):
    assert len({item.reference for item in month}) == len(month)
    lines = {line.e164 for line in cast.LINES}
    assert {item.attempt.own_number for item in month} == {*lines, None}


def test_addresses_are_from_the_networks_for_documentation(month):
    addresses = {item.attempt.ip for item in month if item.attempt.ip}
    assert len(addresses) > 500
    assert all(any(ipaddress.ip_address(ip) in network for network in DOCUMENTATION) for ip in addresses)


def test_days_have_two_peaks_and_weekends_are_quiet(business):
    monday, sunday = attempts_of_day(business, MONDAY), attempts_of_day(business, SUNDAY)
    hours = Counter(item.at.astimezone(business.time_zone).hour for item in monday)
    assert len(monday) > 2 * len(sunday)
    assert hours[10] > 2 * max(1, hours[4])
    assert hours[12] < max(hours[10], hours[11])


def test_the_day_on_which_clocks_change_begins_at_local_midnight(business):
    day = attempts_of_day(business, date(2026, 3, 8))
    assert {item.at.astimezone(business.time_zone).date() for item in day} == {date(2026, 3, 8)}
    assert all(item.at.tzinfo is UTC for item in day)


def test_sanctioned_countries_and_withheld_callers_trickle(month):
    callers = [understand(item.attempt.peer_number, role="caller") for item in month if item.attempt.own_number]
    assert 150 < sum(is_sanctioned(caller.country) for caller in callers) < 700
    assert 20 < sum(caller.problem == "withheld" for caller in callers) < 250


def test_the_attack_stays_below_the_concurrency_limit_until_it_is_noticed(business):
    attack = business.attack
    day = attack.starts_at.astimezone(business.time_zone).date()
    calls = [item for item in attempts_of_day(business, day) if item.attempt.ip in attack.addresses]
    let_in = [item for item in calls if item.at < attack.noticed_at]

    running = max(sum(other.at <= item.at < other.ends_at for other in let_in) for item in let_in)

    assert 10 < running <= CONCURRENCY_LIMIT
    assert len(let_in) > 120
    assert len(calls) - len(let_in) > 250
    countries = {understand(item.attempt.to_number, role="destination").country for item in calls}
    assert countries == {"LV", "GM", "SL"}


def test_the_attack_comes_two_evenings_before_the_demo_begins(business):
    local = business.attack.starts_at.astimezone(business.time_zone)
    assert (local.date(), local.hour) == (date(2026, 3, 10), 19)


def test_a_smaller_scale_is_a_smaller_day_with_a_smaller_attack():
    small = cast.first_business(anchor=ANCHOR, opened_on=OPENED_ON, keys=KEYS, scale=0.1)
    large = cast.first_business(anchor=ANCHOR, opened_on=OPENED_ON, keys=KEYS)
    day = date(2026, 3, 10)
    assert len(attempts_of_day(small, day)) < 0.2 * len(attempts_of_day(large, day))
