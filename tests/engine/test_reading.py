"""Limits, levels and switches as rows and requests spell them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.engine.limits import INBOUND_DEFAULTS, KEY_DEFAULTS, TOKEN_DEFAULTS, Limit, LimitName
from policies.engine.reading import MalformedRules, read_limits, write_limits
from policies.engine.rules import KycRules
from policies.engine.sentences import LIMIT_WORDS

SHAPE = {
    "ip": {"limit": 60, "window": 600},
    "running_key": {"limit": 5},
    "spend_key": {"limit": 25.5, "window": 86400},
    "call_seconds": {"limit": 180},
    "ip_48": None,
}


def test_reads_what_it_writes() -> None:
    limits = read_limits(json.loads(json.dumps(SHAPE)))

    assert limits[LimitName.IP] == Limit(60, 600)
    assert limits[LimitName.RUNNING_KEY] == Limit(5)
    assert limits[LimitName.IP_48] is None
    assert write_limits(limits) == SHAPE


@pytest.mark.parametrize("defaults", [KEY_DEFAULTS, TOKEN_DEFAULTS, INBOUND_DEFAULTS])
def test_could_read_the_factorys_own_limits(defaults: Any) -> None:
    assert read_limits(write_limits(defaults)) == dict(defaults)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ([], "limits must be an object"),
        (None, "limits must be an object"),
        ({"colour": {"limit": 1, "window": 1}}, "'colour'"),
        ({5: {"limit": 1}}, "'5'"),
        ({"x" * 5000: None}, "names a limit"),
        ({"ip": 5}, "limits.ip must be an object"),
        ({"ip": {"limit": 5}}, "limits.ip must be an object with limit and window"),
        ({"ip": {"limit": 5, "window": 60, "burst": 3}}, "limits.ip must be"),
        ({"running_key": {"limit": 5, "window": 60}}, "limits.running_key must be an object with limit alone"),
        ({"ip": {"limit": -1, "window": 60}}, "limits.ip.limit must not be negative"),
        ({"ip": {"limit": True, "window": 60}}, "limits.ip.limit must be a number"),
        ({"ip": {"limit": "5", "window": 60}}, "limits.ip.limit must be a number"),
        ({"ip": {"limit": None, "window": 60}}, "limits.ip.limit must be a number"),
        ({"ip": {"limit": float("nan"), "window": 60}}, "limits.ip.limit must be a finite"),
        ({"spend_key": {"limit": float("inf"), "window": 60}}, "limits.spend_key.limit must be a finite"),
        ({"ip": {"limit": 10**400, "window": 60}}, "limits.ip.limit may be 1,000,000"),
        ({"spend_key": {"limit": 10**400, "window": 60}}, "limits.spend_key.limit may be 1,000,000"),
        ({"ip": {"limit": 1.5, "window": 60}}, "limits.ip.limit must be a whole"),
        ({"countries_per_ip": {"limit": 1001, "window": 60}}, "limits.countries_per_ip.limit may be 1,000"),
        ({"running_key": {"limit": 1001}}, "limits.running_key.limit may be 1,000"),
        ({"ip": {"limit": 1, "window": 0}}, "limits.ip.window must be"),
        ({"ip": {"limit": 1, "window": 0.5}}, "limits.ip.window must be"),
        ({"ip": {"limit": 1, "window": 1.5}}, "limits.ip.window must be"),
        ({"ip": {"limit": 1, "window": 10**9}}, "limits.ip.window must be"),
        ({"ip": {"limit": 1, "window": 10**400}}, "limits.ip.window must be"),
        ({"ip": {"limit": 1, "window": False}}, "limits.ip.window must be a number"),
        ({"destination": {"limit": 1, "window": 3601}}, "limits.destination.window .* locks out the owner"),
        ({"destination_prefix": {"limit": 1, "window": 86400}}, "limits.destination_prefix.window .* locks out"),
        ({"call_seconds": {"limit": 0}}, "limits.call_seconds.limit must be at least one second"),
        ({"call_seconds": {"limit": 7201}}, "limits.call_seconds.limit may be 7,200"),
    ],
)
def test_refuses_what_is_no_limit_and_names_it(value: Any, named: str) -> None:
    with pytest.raises(MalformedRules, match=named):
        read_limits(value)


def test_slows_the_owner_of_a_number_down_for_an_hour_at_most() -> None:
    assert read_limits({"destination": {"limit": 1, "window": 3600}})[LimitName.DESTINATION] == Limit(1, 3600)
    assert read_limits({"ip_destination": {"limit": 1, "window": 86400}})


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ([], "kyc_rules"),
        ({"colours": {}}, "kyc_rules"),
        ({"channels": []}, "kyc_rules.channels"),
        ({"channels": {"fax": 1}}, "kyc_rules.channels may name only chat, phone_call, sms, web_call"),
        ({"channels": {"sms": True}}, "kyc_rules.channels.sms"),
        ({"channels": {"sms": 4}}, "kyc_rules.channels.sms"),
        ({"channels": {"sms": -1}}, "kyc_rules.channels.sms"),
        ({"exposure_tiers": {"T9": 1}}, "kyc_rules.exposure_tiers may name only T0, T1, T2, T3"),
        ({"exposure_tiers": {"T1": 1.0}}, "kyc_rules.exposure_tiers.T1"),
    ],
)
def test_refuses_levels_that_do_not_exist(value: Any, named: str) -> None:
    with pytest.raises(MalformedRules, match=named):
        KycRules.from_dict(value)


def test_has_words_for_every_limit() -> None:
    assert set(LIMIT_WORDS) == set(LimitName)
