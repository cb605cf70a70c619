"""The list of what was blocked: its filters, its pages by place, its search, and where a row leads."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.roles import Role
from accounts.scoping import scoped
from monitoring.admin import blocked_calls
from monitoring.models import BlockedCall
from policies.engine.types import Attempt, Channel, Direction
from policies.gate import inbound_judge, transfers
from policies.gate.transfers import Transfer
from policies.models import CallToEnd, Decision
from tests import factories
from tests.monitoring.dashboards.rows import NOW, list_blocked, make_call, make_decision
from tests.monitoring.ingest.test_blocked_calls import make_dial

LIST = "admin:monitoring_blockedcall_changelist"


@pytest.fixture
def number(in_workspace):
    return factories.make_phone_number(in_workspace)


@pytest.fixture
def viewer(client, in_workspace):
    client.force_login(factories.make_member(in_workspace, Role.VIEWER))
    return client


@pytest.fixture
def four(in_workspace, number):
    """One of each source, a minute apart, the newest first."""
    outbound = make_decision(number, "+5352345678", NOW, direction="outbound")
    type(outbound).objects.filter(pk=outbound.pk).update(credential="key:1", public_key="pk_site")
    make_decision(number, "+442079460018", NOW - timedelta(minutes=1))
    make_dial(NOW - timedelta(minutes=2))
    make_call(NOW - timedelta(minutes=3), channel="web_call", peer="", country="", disconnection_reason="scam_detected")
    list_blocked(in_workspace.pk, NOW)


def listed(client, **parameters: str) -> list[str]:
    return [row.source for row in client.get(reverse(LIST), parameters).context["cl"].result_list]


@pytest.mark.parametrize(
    ("parameters", "sources"),
    [
        ({}, ["gate", "inbound", "refused", "not_connected"]),
        ({"reason__exact": "uponai_country_refused"}, ["refused"]),
        ({"reason__exact": "sanctioned_country"}, ["gate"]),
        ({"source__exact": "inbound"}, ["inbound"]),
        ({"country__exact": "GB"}, ["inbound", "refused"]),
        ({"phone_number": "+1 (415) 555-0100"}, ["gate", "inbound", "refused", "not_connected"]),
        ({"public_key__exact": "pk_site"}, ["gate"]),
        ({"channel__exact": "web_call"}, ["not_connected"]),
        ({"direction__exact": "outbound"}, ["gate", "refused"]),
        (
            {"at_from_0": "2026-03-04", "at_from_1": "12:28:30", "at_to_0": "2026-03-04", "at_to_1": "12:30"},
            ["inbound"],
        ),
        ({"q": "+44 20 7946 0018"}, ["inbound"]),
        ({"q": "7946"}, ["inbound"]),
        ({"q": "pk_site"}, ["gate"]),
        ({"q": "nobody"}, []),
    ],
)
def test_the_list_is_filtered_and_searched(viewer, four, parameters, sources):
    assert listed(viewer, **parameters) == sources


def test_a_part_of_a_number_is_looked_for_among_the_newest_only(viewer, four, monkeypatch):
    monkeypatch.setattr(blocked_calls, "SEARCHED", 1)

    assert listed(viewer, q="0123456") == []
    assert listed(viewer, q="+447400123456") == ["refused"]


def test_a_decision_is_found_by_its_id(viewer, four):
    row = BlockedCall.objects.get(source="gate")

    assert listed(viewer, q=row.reference) == ["gate"]


def test_pages_go_on_where_the_last_one_ended_without_counting_or_skipping(viewer, in_workspace, number, monkeypatch):
    monkeypatch.setattr(blocked_calls.BlockedCallAdmin, "list_per_page", 2)
    for minute in range(5):
        make_decision(number, "+442079460018", NOW - timedelta(minutes=minute // 2))
    list_blocked(in_workspace.pk, NOW)
    seen, address = [], f"{reverse(LIST)}?country__exact=GB"

    with CaptureQueriesContext(connection) as queries:
        while address:
            changelist = viewer.get(address).context["cl"]
            seen += [row.pk for row in changelist.result_list]
            address = changelist.older_href and f"{reverse(LIST)}{changelist.older_href}"

    assert seen == list(BlockedCall.objects.order_by("-at", "-id").values_list("pk", flat=True))
    assert not [query["sql"] for query in queries if "COUNT(" in query["sql"].upper() or "OFFSET" in query["sql"]]


@pytest.mark.parametrize(
    "place",
    [
        "soon",
        "2026-03-04_1",
        "2026-03-04T12:00:00+00:00_-1",
        f"2026-03-04T12:00+00:00_{10**30}",
        "0001-01-01T00:00:00+14:00_5",
        "9999-12-31T23:59:59-14:00_5",
    ],
)
def test_a_place_that_is_none_leads_back_to_the_list(viewer, four, place):
    assert viewer.get(reverse(LIST), {"older_than": place}).status_code == 302


def test_the_list_asks_for_the_same_queries_however_many_rows_it_has(viewer, in_workspace, number, four):
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            viewer.get(reverse(LIST))
        return len(seen)

    queries()
    before = queries()
    for second in range(20):
        make_decision(number, "+442079460018", NOW - timedelta(seconds=second))
    list_blocked(in_workspace.pk, NOW)

    assert queries() == before


def test_a_row_of_the_gate_opens_its_trace(viewer, four):
    row = BlockedCall.objects.get(source="gate")

    answer = viewer.get(reverse("admin:monitoring_blockedcall_change", args=[row.pk]), follow=True)

    assert answer.redirect_chain
    assert "Blocked: Cuba" in unescape(answer.content.decode())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "refused",
            "Blocked: country closed at UponAI. UponAI said: Country is not in the allowed outbound country list.",
        ),
        ("not_connected", "Blocked: agent judged a scam by UponAI. It did not come about: scam detected."),
    ],
)
def test_what_uponai_blocked_has_a_page_of_its_own(viewer, four, source, said):
    row = BlockedCall.objects.get(source=source)

    html = viewer.get(reverse("admin:monitoring_blockedcall_change", args=[row.pk])).content.decode()

    text = " ".join(re.sub(r"<[^>]+>", " ", unescape(html)).split())
    assert said in text
    assert ("What UponAI told of it" in text) == (source == "not_connected")


def test_the_page_of_another_workspace_s_row_does_not_exist(client, four):
    client.force_login(factories.make_member(factories.make_workspace()))

    for pk in BlockedCall.objects.values_list("pk", flat=True):
        assert client.get(reverse("admin:monitoring_blockedcall_change", args=[pk])).status_code == 404


def test_a_transfer_is_told_with_its_caller_and_what_became_of_the_call(in_workspace, number, viewer):
    asked = Attempt(direction=Direction.INBOUND, channel=Channel.PHONE_CALL, call_reference="call_t")
    known = inbound_judge.id_of_decision(in_workspace.pk, inbound_judge.attempt_key(asked))
    began = make_decision(number, "+12125550123", NOW - timedelta(minutes=2))
    Decision.objects.filter(pk=began.pk).update(decision_id=known, call_reference="call_t")
    with scoped(in_workspace.pk):
        for call, to in (("call_t", "+5351234567"), ("call_of_nobody", "+5351234568")):
            transfers.judge(in_workspace.pk, Transfer(call, number.e164, to, 1), now=NOW)
    list_blocked(in_workspace.pk, NOW)
    assert set(listed(viewer)) == {"transfer"}
    panel = reverse("monitoring:panel-newest")
    pages = [reverse(LIST), reverse("admin:policies_decision_changelist"), panel]

    for page in pages:
        said = text(viewer.get(page))
        assert "Transfer of the call from +1 212-555-0123, which is being ended" in said
        assert "Transfer of a running call, which is being ended" in said
    with CaptureQueriesContext(connection) as queries:
        viewer.get(panel)
    assert sum("calltoend" in query["sql"] for query in queries) == 1

    CallToEnd.objects.filter(call_id="call_t").update(ended_at=NOW, due_at=None)
    decision = Decision.objects.get(peer="+5351234567")
    page = text(viewer.get(reverse("admin:policies_decision_change", args=[decision.pk])))
    assert "UponAI was transferring the call from +1 212-555-0123 there. The call was ended" in page
    assert "Transfer of a running call" in page
    assert "which was ended" in text(viewer.get(panel))


def text(answer) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())).split())
