"""The sentence and the four numbers: what a worried person reads first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from monitoring.dashboards import counts, usual
from monitoring.dashboards.counts import COUNTED, CountryTotal, Counts, Metric
from monitoring.dashboards.overview import Overview, overview
from monitoring.dashboards.period import HOUR, floor_hour
from monitoring.dashboards.pulse import Pulse, UnseenAlert
from tests.monitoring.dashboards.rows import NOW

NEW_YORK = ZoneInfo("America/New_York")
IN_ORDER = Pulse(numbers=2)
HOURS = 28 * 24
pytestmark = pytest.mark.django_db


def history(*, now: datetime = NOW, per_hour: int = 10, newest: dict[int, dict[Metric, float]] | None = None):
    """Four even weeks up to the running hour; `newest` says what differs, by hours before the running one."""
    values = {metric: [float(per_hour)] * HOURS for metric in COUNTED}
    values[Metric.BLOCKED] = [1.0] * HOURS
    for hours_ago, changes in (newest or {}).items():
        for metric, value in changes.items():
            values[metric][-1 - hours_ago] = value
    return Counts(floor_hour(now) - HOUR * (HOURS - 1), values, {}, 0)


def seen(
    hourly: Counts,
    *,
    now: datetime = NOW,
    pulse: Pulse = IN_ORDER,
    behind: int = 0,
    countries: Sequence[CountryTotal] = (),
) -> Overview:
    expected = usual.expectations(hourly, zone=NEW_YORK)
    late = replace(pulse, behind=timedelta(seconds=behind))
    return overview(hourly, expected, pulse=late, countries=countries, now=now, zone=NEW_YORK)


def test_an_ordinary_day_is_quiet(in_workspace):
    said = seen(history(newest={0: {Metric.CALLS: 5}})).sentence

    assert said.tone == "quiet"
    assert said.text == "Quiet: 75 calls today, 8 blocked, as usual for a Wednesday."


def test_the_day_begins_at_local_midnight(in_workspace):
    five_past_midnight = datetime(2026, 3, 4, 5, 5, tzinfo=UTC)

    cards = {card.label: card.value for card in seen(history(now=five_past_midnight), now=five_past_midnight).cards}

    assert cards["Calls today"] == "10"


def test_the_usual_counts_the_running_hour_as_far_as_it_has_come(in_workspace):
    cards = {card.label: card for card in seen(history()).cards}

    assert cards["Calls today"].usual == "usually 75 by now"


def test_a_spike_of_calls_is_told_with_its_usual_and_a_way_to_look(in_workspace):
    said = seen(history(newest={0: {Metric.CALLS: 412, Metric.BLOCKED: 3}})).sentence

    assert said.tone == "danger"
    assert said.text.startswith("Unusual: 412 calls since 07:00, usually up to ")
    assert "3 blocked in that hour" in said.detail
    assert "started_at_from_0=2026-03-04&started_at_from_1=07%3A00%3A00" in said.actions[0].href
    assert "started_at_to_1=08%3A00%3A00" in said.actions[0].href


def test_a_spike_of_blocked_attempts_says_that_none_got_through(in_workspace):
    said = seen(history(newest={1: {Metric.BLOCKED: 212}})).sentence

    assert said.tone == "warning"
    assert said.text.startswith("Unusual: 212 blocked from 06:00 to 07:00, usually up to ")
    assert said.detail == "None of these got through."
    assert "/monitoring/blockedcall/" in said.actions[0].href


def test_a_spike_is_marked_on_its_number(in_workspace):
    cards = {card.label: card for card in seen(history(newest={0: {Metric.CALLS: 412}})).cards}

    assert (cards["Calls today"].tone, cards["Calls today"].note) == ("warning", "Spike at 07:00")
    assert cards["Blocked today"].note == ""


def test_an_earlier_spike_of_today_leaves_calm_words(in_workspace):
    said = seen(history(newest={4: {Metric.CALLS: 412}, 0: {Metric.CALLS: 5}})).sentence

    assert said.tone == "notice"
    assert said.text.startswith("Calm again: ")
    assert said.detail.startswith("Earlier: 412 calls from 03:00 to 04:00")


def test_more_than_usual_without_a_spike_is_said(in_workspace):
    more = {hours_ago: {Metric.CALLS: 25.0} for hours_ago in range(8)}

    said = seen(history(newest=more)).sentence

    assert said.tone == "notice"
    assert "more than usual for a Wednesday" in said.text


def test_old_counts_do_not_claim_that_all_is_quiet(in_workspace):
    said = seen(history(), behind=12 * 60).sentence

    assert said.tone == "unknown"
    assert said.text.startswith("The counts below are 12 minutes old")


def test_numbers_that_upon_ai_has_differently_come_before_quiet_words(in_workspace):
    said = seen(history(), pulse=Pulse(numbers=9, failed=1, drift=3, foreign=2)).sentence

    assert said.tone == "warning"
    assert said.text == "3 phone numbers are not configured at UponAI as this console says."


LEAK = UnseenAlert(
    sentence="6 calls or chats at UponAI did not pass the gate.",
    kind="ungated_traffic",
    about="private_key",
    path="/admin/ungated/",
    details={"calls": 6, "first_at": "2026-03-04T11:04:00+00:00", "usd": 10.26},
)
ENDING = UnseenAlert("An open is about to end.", "open_ends", "7", "/admin/open/7/", {})
STOPPED = UnseenAlert("Somebody keeps changing a number.", "sync_stopped", "+1", "", {})
SPIKE = {0: {Metric.CALLS: 412.0}}


@pytest.mark.parametrize(
    ("pulse", "newest", "tone", "said"),
    [
        (Pulse(ungated=6, alerts=1, worst_alert=LEAK), SPIKE, "danger", "private key is probably in other hands: 6"),
        (Pulse(key_leaks=1), SPIKE, "danger", "The private UponAI key was shown in 1 place"),
        (Pulse(alerts=2, worst_alert=STOPPED), SPIKE, "danger", "Unusual: 412 calls since 07:00"),
        (Pulse(alerts=2, worst_alert=STOPPED, key_refused_at=NOW), {}, "danger", "Somebody keeps changing a number."),
        (Pulse(key_refused_at=NOW, widened=1, foreign=1), {}, "danger", "UponAI refuses the key of this workspace"),
        (Pulse(widened=2, foreign=2, drift=2, ungated=1), {}, "danger", "2 phone numbers allow more at UponAI"),
        (Pulse(ungated=1, alerts=1, worst_alert=ENDING), {}, "warning", "1 call or chat at UponAI did not pass"),
        (Pulse(alerts=1, worst_alert=ENDING, failed=1), {}, "notice", "An open is about to end."),
    ],
)
def test_what_is_open_is_told_first_and_the_worst_of_it_in_full(in_workspace, pulse, newest, tone, said):
    sentence = seen(history(newest=newest), pulse=pulse).sentence

    assert said in sentence.text
    assert sentence.tone == tone
    assert sentence.actions


def test_what_is_less_bad_is_told_behind_it_with_the_amounts_of_today(in_workspace):
    open_ones = Pulse(alerts=3, worst_alert=LEAK, ungated=6, widened=1, foreign=2, drift=2, key_refused_at=NOW)

    sentence = seen(history(newest={4: {Metric.CALLS: 412}}), pulse=open_ones, behind=12 * 60).sentence

    assert sentence.text.endswith("6 calls and chats since 06:04 did not pass the gate, $10.26.")
    assert (
        "Also: UponAI refuses the key of this workspace; 1 phone number allows more at UponAI; the counts"
        in sentence.detail
    )
    assert "the counts below are 12 minutes old; 2 more alerts not seen; 2 phone numbers are" in sentence.detail
    assert "calls today, 8 blocked." in sentence.detail
    assert "Calm" not in sentence.text


def test_a_number_that_only_waits_for_uponai_is_not_called_wrong(in_workspace):
    assert seen(history(newest={0: {Metric.CALLS: 5}}), pulse=Pulse(numbers=3, drift=2)).sentence.tone == "quiet"


def test_one_call_is_one_call(in_workspace):
    newest = {hours: {Metric.CALLS: 0.0} for hours in range(8)} | {0: {Metric.CALLS: 1.0}}

    assert seen(history(newest=newest)).sentence.text.startswith("1 call today, ")


@pytest.mark.parametrize(
    ("sync", "said"),
    [
        (Pulse(), "Nothing is watched yet: this workspace has no phone numbers."),
        (Pulse(numbers=1), "No call was seen yet on 1 phone number."),
    ],
)
def test_a_new_workspace_is_told_what_is_missing(in_workspace, sync, said):
    empty = counts.hourly(start=NOW - timedelta(days=2), end=floor_hour(NOW) + HOUR)

    assert seen(empty, pulse=sync).sentence.text == said


def test_before_the_first_full_day_nothing_is_called_usual(in_workspace):
    young = history()
    young = Counts(young.start, young.values, {}, HOURS - 10)

    page = seen(young)

    assert page.sentence.text == "80 calls today, 8 blocked."
    assert {card.usual for card in page.cards} == {""}
