"""`make bench`: its parts, and that it runs. How fast anything is decides no test."""

import random
import subprocess
import sys

import phonenumbers
import pytest

from fraudconsole.bench import callers, load
from fraudconsole.bench.measuring import Figures, Skipped, in_rounds, ratio
from fraudconsole.env import PROJECT_ROOT
from policies.uponai import payloads, signature


def test_prints_a_table_of_the_section_that_is_asked_for():
    command = [sys.executable, "-m", "fraudconsole.bench", "--quick", "--only", "decide"]

    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| decide, ")]
    assert [row[0] for row in rows] == ["| decide, inbound", "| decide, outbound"]
    assert "The store recorded 3,600 of 3,600 decisions" in done.stdout


def test_calls_a_ratio_the_medians_and_shows_the_rounds_own():
    slow, floor = Figures([20.0, 30.0, 90.0]), Figures([10.0, 10.0, 30.0])

    assert ratio(slow, floor) == "3.00 (2.00–3.00)"


def test_measures_everything_once_in_every_round():
    order = []

    found = in_rounds({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)

    assert {name: len(each) for name, each in found.items()} == {"a": 3, "b": 3}
    assert [sorted(order[start : start + 2]) for start in (0, 2, 4)] == [["a", "b"]] * 3


def test_prepares_webhooks_that_are_signed_and_about_different_calls():
    numbers = callers.valid_numbers(20, random.Random(1))
    webhooks = list(
        callers.signed_webhooks(50, callers=numbers, own=["+14155550100"], secret="key", chance=random.Random(1))
    )

    assert all(phonenumbers.is_valid_number(phonenumbers.parse(number)) for number in numbers)
    for value, body in webhooks:
        sent_at = int(value[2:15])
        assert signature.verify(body=body, headers={"X": value}, secrets=["key"], now_ms=sent_at) is None
    assert len({payloads.read_inbound(body).call_reference for _, body in webhooks}) == 50


def test_makes_callers_of_the_regions_that_are_asked_for():
    numbers = callers.valid_numbers(200, random.Random(1), regions=["US", "GB"])

    regions = {phonenumbers.region_code_for_number(phonenumbers.parse(number)) for number in numbers}
    assert regions == {"US", "GB"}


def test_says_how_to_get_a_missing_load_generator(monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(Skipped, match="apt-get install -y wrk"):
        load.find_wrk()
