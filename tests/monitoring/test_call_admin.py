"""The list of calls and the page of one, read only."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from accounts.models import PublicKey
from accounts.roles import Role
from tests import factories
from tests.monitoring.dashboards.rows import NOW, make_call, make_decision

LIST = "admin:monitoring_call_changelist"


@pytest.fixture
def viewer(client, in_workspace):
    client.force_login(factories.make_member(in_workspace, Role.VIEWER))
    return client


def shown(answer) -> list[str]:
    return [call.call_reference for call in answer.context["cl"].result_list]


def test_calls_are_listed_newest_first(viewer):
    make_call(NOW - timedelta(hours=1), call_reference="older")
    make_call(NOW, call_reference="newer")

    assert shown(viewer.get(reverse(LIST))) == ["newer", "older"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("direction__exact", "outbound"),
        ("channel__exact", "chat"),
        ("country__exact", "GB"),
        ("phone_number", "+1 415 555 0199"),
        ("phone_number", "0199"),
        ("q", "5550199"),
    ],
)
def test_the_list_is_filtered(viewer, name, value):
    make_call(NOW, call_reference="other")
    make_call(
        NOW, call_reference="wanted", direction="outbound", channel="chat", country="GB", phone_number="+14155550199"
    )

    assert shown(viewer.get(reverse(LIST), {name: value})) == ["wanted"]


@pytest.mark.parametrize(
    ("facts", "way", "what"),
    [
        ({"direction": "outbound", "channel": "sms"}, "unknown → unknown", "SMS"),
        ({"channel": "web_call", "agent": "agent_7"}, "Visitor → agent_7", "web call"),
        ({"direction": "outbound", "channel": "chat"}, "Visitor → Agent", "chat"),
        ({"channel": "web_call", "public_key": "pk_1"}, "Web page → Agent", "web call"),
        ({"direction": "outbound", "channel": "chat", "public_key": "pk_2"}, "pk_2 → Agent", "chat"),
    ],
)
def test_says_who_talked_with_whom_where_there_is_no_number(viewer, in_workspace, facts, way, what):
    PublicKey.objects.create(name="Web page", key="pk_1", kind="uponai", channels=["web_call"])
    make_call(NOW, **facts, phone_number="", peer="")

    html = viewer.get(reverse(LIST)).content.decode()

    sides = re.findall(r'fc-phone__number">(?:Number )?([^<]+)<', html)
    assert " → ".join(sides) == way
    assert f"bound {what}<" in html


def test_a_call_has_a_page_with_its_length_cost_and_decision(viewer, in_workspace):
    decision = make_decision(factories.make_phone_number(in_workspace), "+12125550123", NOW)
    call = make_call(NOW, duration_ms=125_400, cost_cents=Decimal("31.25"), decision_id=decision.decision_id)

    html = viewer.get(reverse("admin:monitoring_call_change", args=[call.pk])).content.decode()

    assert "2:05" in html
    assert "$0.31" in html
    assert "+1 212-555-0123" in html
    assert reverse("admin:policies_decision_change", args=[decision.pk]) in html


def test_a_call_of_another_workspace_has_no_page(client, in_workspace):
    call = make_call(NOW)
    client.force_login(factories.make_member(factories.make_workspace()))

    assert client.get(reverse("admin:monitoring_call_change", args=[call.pk])).status_code == 404


def test_nobody_adds_changes_or_deletes_a_call(client, in_workspace):
    call = make_call(NOW)
    client.force_login(factories.make_member(in_workspace, Role.OWNER))

    assert client.get(reverse("admin:monitoring_call_add")).status_code in (403, 404)
    assert client.post(reverse("admin:monitoring_call_delete", args=[call.pk]), {"post": "yes"}).status_code == 403
    assert not re.search("<input[^>]+type=.submit", client.get(reverse(LIST)).content.decode())
