"""The panel about one number: its last seven local days, from raw rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse

from monitoring.dashboards.traffic import traffic
from tests import factories
from tests.monitoring.dashboards.rows import NOW, list_blocked, make_call, make_decision

NEW_YORK = ZoneInfo("America/New_York")
FIRST_MOMENT = datetime(2026, 2, 26, 5, tzinfo=UTC)  # local midnight six days before NOW


@pytest.fixture
def number(in_workspace):
    return factories.make_phone_number(in_workspace)


def test_it_counts_seven_local_days(number):
    make_call(FIRST_MOMENT)
    make_call(FIRST_MOMENT - timedelta(seconds=1))
    make_call(NOW)
    make_call(NOW, phone_number="+14155550199")
    make_decision(number, "+442079460018", FIRST_MOMENT)
    make_decision(number, "+12125550123", NOW)
    list_blocked(number.workspace_id, NOW)

    seen = traffic({"phone_number": number.e164}, whose="number", now=NOW, zone=NEW_YORK)

    assert (seen.calls, seen.blocked, seen.minutes, seen.cost) == (2, 1, "3", "$0.30")
    assert [(share.name, share.count) for share in seen.reasons] == [("Country not allowed", 1)]
    assert [(share.name, share.count) for share in seen.places] == [("United States", 2)]
    assert [row.label for row in seen.chart.table.rows] == ["Thu 26 Feb", "Wed 4 Mar"]
    assert seen.chart.table.rows[0].cells == ("1", "1", "2")


def test_its_links_lead_to_the_rows_of_this_number(client, number, in_workspace):
    client.force_login(factories.make_member(in_workspace))
    make_call(datetime.now(UTC))
    make_call(datetime.now(UTC), phone_number="+14155550199")

    panel = client.get(reverse("monitoring:panel-phone-number", args=[number.pk]))
    listed = client.get(panel.context["traffic"].calls_href)

    assert [call.phone_number for call in listed.context["cl"].result_list] == ["+14155550100"]


def test_the_panel_of_another_workspaces_number_does_not_exist(client, number):
    client.force_login(factories.make_member(factories.make_workspace()))

    assert client.get(reverse("monitoring:panel-phone-number", args=[number.pk])).status_code == 404
