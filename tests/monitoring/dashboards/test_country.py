"""The page of a country, the panel of a key, and what the page of a call adds to its row."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import PublicKey
from accounts.roles import Role
from monitoring.models import WebhookEvent
from policies.models import Decision
from tests import factories
from tests.monitoring.dashboards.rows import NOW, count, list_blocked, make_call, make_decision


@pytest.fixture
def number(in_workspace):
    return factories.make_phone_number(in_workspace, inbound=["US", "GB"], outbound=["US"])


@pytest.fixture
def viewer(client, in_workspace):
    with time_machine.travel(NOW, tick=False):
        client.force_login(factories.make_member(in_workspace, Role.VIEWER))
        yield client


def said(answer) -> str:
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())).split())


def country(client, code: str) -> str:
    return said(client.get(reverse("monitoring:country", args=[code])))


def test_a_country_says_what_happened_why_by_which_number_and_who_may(viewer, in_workspace, number):
    make_call(NOW, country="GB", peer="+442079460018")
    make_call(NOW, country="US")
    make_decision(number, "+442079460018", NOW, direction="outbound")
    make_decision(number, "+442079460018", NOW - timedelta(days=8), direction="outbound")
    count(in_workspace.pk, NOW)

    text = country(viewer, "GB")

    assert "United Kingdom: 1 call and 1 blocked in 7 days." in text
    assert "1 number may be called from there, no number may call it." in text
    assert "Country not allowed 1" in text
    assert "+1 415-555-0100" in text
    assert re.search(rf"{re.escape(number.policy.name)} ?: inbound only, 1 number", text)
    assert "$0.15, 2 minutes" in text


def test_a_sanctioned_country_is_open_to_no_policy(viewer, in_workspace):
    factories.make_phone_number(in_workspace, inbound=None, outbound=None)

    text = country(viewer, "CU")

    assert "It is on the platform sanctions list: blocked in both directions, whatever a policy says." in text
    assert "None. Whoever calls from there is turned away" in text
    assert "Open it for a time" not in text


@pytest.mark.parametrize("code", ["XX", "gb", "GBR"])
def test_what_is_no_country_has_no_page(viewer, code):
    assert viewer.get(reverse("monitoring:country", args=[code])).status_code == 404


def test_a_country_needs_the_same_queries_however_much_happened(viewer, in_workspace, number):
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            country(viewer, "GB")
        return len(seen)

    make_call(NOW, country="GB")
    make_decision(number, "+442079460018", NOW, direction="outbound")
    count(in_workspace.pk, NOW)
    before = queries()
    for minute in range(5):
        make_call(NOW - timedelta(minutes=minute), country="GB", phone_number=f"+1415555010{minute}")
        factories.make_phone_number(in_workspace, f"+1415555011{minute}", inbound=["GB"])
    count(in_workspace.pk, NOW)

    assert queries() == before


def test_a_public_key_has_a_panel_of_its_traffic(viewer, in_workspace, number):
    key = PublicKey.objects.create(name="Site", key="pk_site", kind="gate_key", created_at=NOW)
    make_call(NOW, public_key="pk_site", country="GB")
    make_call(NOW, public_key="pk_other")
    blocked = make_decision(number, "+5352345678", NOW, direction="outbound")
    Decision.objects.filter(pk=blocked.pk).update(public_key="pk_site")
    list_blocked(in_workspace.pk, NOW)

    panel = viewer.get(reverse("monitoring:panel-public-key", args=[key.pk]))

    traffic = panel.context["traffic"]
    assert (traffic.calls, traffic.blocked) == (1, 1)
    assert [share.name for share in traffic.reasons] == ["Sanctioned country"]
    listed = viewer.get(traffic.blocked_href).context["cl"].result_list
    assert [row.reference for row in listed] == [str(blocked.decision_id)]
    page = viewer.get(reverse("admin:accounts_publickey_change", args=[key.pk])).content.decode()
    assert reverse("monitoring:panel-public-key", args=[key.pk]) in page


def test_panels_of_another_workspace_do_not_exist(client, in_workspace):
    key = PublicKey.objects.create(name="Site", key="pk_site", kind="gate_key", created_at=NOW)
    client.force_login(factories.make_member(factories.make_workspace()))

    assert client.get(reverse("monitoring:panel-public-key", args=[key.pk])).status_code == 404


def test_the_page_of_a_call_tells_of_the_gate_the_block_and_the_events(viewer):
    call = make_call(
        NOW, country="GB", gating="ungated", way_around="batch", disconnection_reason="network_blocked", status="error"
    )
    for event, minute in (("call_started", 0), ("call_ended", 1)):
        WebhookEvent.objects.create(
            event_key=f"{event}:{call.call_reference}",
            event=event,
            call_reference=call.call_reference,
            sealed_body="",
            received_at=NOW + timedelta(minutes=minute),
            state="done",
        )

    text = said(viewer.get(reverse("admin:monitoring_call_change", args=[call.pk])))

    assert "Did not pass the gate; probably: a batch call" in text
    assert "Blocked Blocked by a telephone network" in text
    assert re.search(r"12:30:00 Started .* 12:31:00 Ended", text)
