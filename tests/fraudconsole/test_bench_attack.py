"""The ten-dollar attack of `make bench`: who comes when, and how what came of it is counted. No attack is run here."""

import ipaddress
import itertools
import random
import statistics
import subprocess
import sys
import time

import httpx
import phonenumbers
import pytest

from fraudconsole.bench import attack, visitors, waiting
from fraudconsole.bench.scratch import free_port
from fraudconsole.bench.verifier import HOST
from fraudconsole.env import PROJECT_ROOT
from policies.engine.limits import KEY_DEFAULTS, LimitName

SIX_HOURS = 6 * 3600.0


def test_the_attack_dials_different_valid_uk_mobiles_from_two_hundred_addresses():
    found = visitors.attack(random.Random(1), seconds=SIX_HOURS)

    numbers = [one.number for one in found]
    assert len(set(numbers)) == len(numbers)
    for number in numbers:
        parsed = phonenumbers.parse(number)
        assert number.startswith("+4474185")
        assert phonenumbers.is_valid_number(parsed)
        assert phonenumbers.region_code_for_number(parsed) == "GB"
        assert phonenumbers.number_type(parsed) == phonenumbers.PhoneNumberType.MOBILE
    addresses = {ipaddress.ip_address(one.ip) for one in found}
    assert 190 <= len(addresses) <= 200
    assert all(address.is_global for address in addresses)


def test_the_attack_probes_and_then_goes_on_at_a_steady_four_to_eight_a_minute():
    for seed in range(20):
        times = [one.at for one in visitors.attack(random.Random(seed), seconds=SIX_HOURS)]
        probes = [at for at in times if at < 600]
        pauses = [after - before for before, after in itertools.pairwise(times) if before >= 600]

        assert len(probes) in (1, 2)
        assert 4 <= 60 / statistics.mean(pauses) <= 8.2
        assert statistics.stdev(pauses) / statistics.mean(pauses) < 0.3
        assert times == sorted(times)
        assert times[-1] < SIX_HOURS


def test_usual_traffic_is_of_the_size_the_hours_and_the_countries_that_were_asked_for():
    days = [visitors.usual(random.Random(seed), seconds=24 * 3600, from_hour=0, a_day=400) for seed in range(10)]

    found = [one for day in days for one in day]
    assert 390 * 10 <= len(found) <= 440 * 10  # 400 a day, and who comes again
    by_country = {country: sum(one.country == country for one in found) / len(found) for country in ("US", "GB")}
    assert 0.92 <= by_country["US"] <= 0.98
    assert 0.002 <= by_country["GB"] <= 0.013
    at_ten, at_three = (sum(hour <= one.at / 3600 < hour + 1 for one in found) for hour in (10, 3))
    assert at_ten > 10 * at_three
    for one in days[0]:
        parsed = phonenumbers.parse(one.number)
        assert phonenumbers.is_valid_number(parsed)
        assert phonenumbers.region_code_for_number(parsed) == one.country


def test_usual_traffic_is_quiet_at_night():
    day = visitors.usual(random.Random(1), seconds=SIX_HOURS, from_hour=9, a_day=400)
    night = visitors.usual(random.Random(1), seconds=SIX_HOURS, from_hour=0, a_day=400)

    assert len(day) > 5 * len(night)


def test_lengths_have_the_median_that_was_asked_for():
    lengths = visitors.lengths(random.Random(1), median=300, sigma=0.6)

    assert 280 < statistics.median(lengths) < 320
    assert max(lengths) > 900


@pytest.mark.parametrize("scale", [attack.FULL_SCALE, attack.QUICK_SCALE])
def test_divides_the_windows_of_the_factory_limits_and_nothing_else(scale):
    limits = attack.factory_limits(scale)

    assert set(limits) == {name.value for name in KEY_DEFAULTS}
    for name, limit in KEY_DEFAULTS.items():
        assert limits[name]["limit"] == limit.limit
        assert limits[name].get("window", 0) * scale.speed == limit.window_seconds
    assert limits[LimitName.CALL_SECONDS] == {"limit": KEY_DEFAULTS[LimitName.CALL_SECONDS].limit}


def test_refuses_a_speed_that_would_round_a_window():
    with pytest.raises(ValueError, match="no whole seconds"):
        attack.factory_limits(attack.Scale(hours=1, speed=77))


def made(number: str, *, start: int | None, seconds: float = 60, cents: float = 10.0) -> dict[str, object]:
    call = {"call_id": f"call_{number}_{start}", "to_number": number}
    if start is None:
        return call
    cost = {"combined_cost": cents}
    return call | {"start_timestamp": start, "duration_ms": int(seconds * 1000), "call_cost": cost}


def test_prices_the_attacked_range_dearer_than_its_country():
    attacked, usual = made("+447418512345", start=0), made("+447400123456", start=0)

    assert attack._priced_calls([attacked]) == pytest.approx(0.35)
    assert attack._priced_calls([usual]) == pytest.approx(0.20)
    assert attack._billed([attacked, usual]) == pytest.approx(0.20)


def test_counts_what_ran_at_once():
    calls = [made("+1", start=0), made("+2", start=30_000), made("+3", start=60_000), made("+4", start=200_000)]

    assert attack._most_running(calls) == 2


def test_an_attempt_is_connected_when_the_sandbox_says_that_somebody_picked_up():
    submission = visitors.Submission(0, "+14155550123", "203.0.113.7", "US")
    dialled = attack.Attempt(submission, call_id="call_1", call=made("+14155550123", start=None))

    assert not dialled.is_connected
    assert attack._what(dialled) == "dialled, and not seen"
    dialled.call = made("+14155550123", start=5)
    assert dialled.is_connected


def test_the_tables_say_what_was_spent_and_who_was_kept_waiting():
    submission = visitors.Submission(120, "+447418512345", "203.0.113.7", "GB")
    abroad = visitors.Submission(130, "+4915123456789", "203.0.113.7", "DE")
    connected = attack.Attempt(submission, 201, "d", "call_1", made("+447418512345", start=0, seconds=120))
    refused = attack.Attempt(submission, 429, "e", reason="spend_cap_reached")
    found = {
        attack.ATTACK: [connected, refused],
        attack.USUAL: [attack.Attempt(abroad, 403, "f", reason="country_not_allowed")],
        attack.CONTROL: [],
    }

    outcome = str(attack._outcome_table(found, [connected.call], attack.FULL_SCALE, 225))
    reasons = str(attack._reasons_table(found))

    assert "Spent on the attack in all: $0.70" in outcome
    assert "| connected | 1 of 2 (50.0%) | 0 of 1 (0.0%) |" in outcome
    assert "Usual attempts connected: 0 of 0" in outcome  # the policy does not allow Germany
    assert "Attack calls connected in minutes 2; the first refusal: spend_cap_reached (429) in minute 2." in outcome
    assert "not connected during the attack: DE, country_not_allowed (403): 1." in reasons
    assert "| spend_cap_reached (429) | 1 | 0 | 0 |" in reasons


@pytest.fixture
def verifier():
    port = free_port()
    command = [sys.executable, "-m", "fraudconsole.bench.verifier", str(port)]
    process = subprocess.Popen(command, cwd=PROJECT_ROOT)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(100):
            try:
                client.post("/siteverify", data={"response": "first"})
                break
            except httpx.ConnectError:
                time.sleep(0.1)
        yield client
    process.kill()
    process.wait()


def test_the_verifier_believes_refuses_and_hangs_as_it_is_told(verifier):
    believed = verifier.post("/siteverify", data={"secret": "s", "response": "solved-1"}).json()
    refused = verifier.post("/siteverify", data={"secret": "s", "response": "robot-1"}).json()

    assert (believed["success"], believed["hostname"], refused["success"]) == (True, HOST, False)
    with pytest.raises(httpx.ReadTimeout):
        verifier.post("/siteverify", data={"secret": "s", "response": "hangs-1"}, timeout=0.3)


def test_a_webhook_without_an_answer_is_neither_fast_nor_slow():
    heard = waiting.Heard(waits_ms=[float(each) for each in range(1, 101)], failed=3)

    assert (heard.percentile(0.5), heard.percentile(0.99), heard.percentile(1)) == (51.0, 100.0, 100.0)
