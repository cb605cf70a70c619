"""The lists of decisions and calls as files: the filtered rows of one workspace, in chunks, and who took them."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import exports
from accounts.audit import verify
from accounts.models import AuditEntry
from accounts.roles import Role
from accounts.scoping import current_scope, scoped
from monitoring.admin.calls import CallAdmin
from policies.admin.decisions import DecisionAdmin
from tests import factories
from tests.monitoring.dashboards.rows import NOW, list_blocked, make_call, make_decision
from tests.signing_in import signed_in

DECISIONS, CALLS, BLOCKED = "admin:policies_decision", "admin:monitoring_call", "admin:monitoring_blockedcall"


@pytest.fixture
def number(workspace):
    return factories.make_phone_number(workspace)


@pytest.fixture
def viewer(workspace):
    return signed_in(workspace, Role.VIEWER)


def exported(client, address: str, extension: str, **filters: str):
    """The answer and its body, which is read when the request and the scope of its middleware are over."""
    answer = client.get(reverse(f"{address}_export_{extension}"), filters)
    assert answer.status_code == 200
    assert answer.streaming
    assert current_scope() is None
    return answer, b"".join(answer.streaming_content).decode()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def entries(workspace) -> list[AuditEntry]:
    with scoped(workspace.pk):
        return list(AuditEntry.objects.filter(action="workspace.export_list").order_by("sequence"))


@time_machine.travel(NOW, tick=False)
def test_blocked_calls_become_a_file_with_the_workspace_and_the_date_in_its_name(viewer, workspace, number):
    with scoped(workspace.pk):
        blocked = make_decision(number, "+442079460018", NOW)
        make_decision(number, "+12125550123", NOW)
    list_blocked(workspace.pk, NOW)

    answer, text = exported(viewer, BLOCKED, "csv", country__exact="GB")

    name = f"{workspace.slug}-blocked-calls-2026-03-04.csv"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    (row,) = rows_of(text)
    assert row["decision_id"] == str(blocked.decision_id)
    assert row["at"] == "2026-03-04T12:30:00Z"
    assert (row["phone_number"], row["peer.e164"], row["peer.country"]) == ("+14155550100", "+442079460018", "GB")
    assert row["sentence"].startswith("Blocked: United Kingdom (+44)")
    assert (row["reasons"], row["degraded"], row["policy.revision"]) == ("country_not_allowed", "no", "1")


def test_json_lines_are_what_the_rest_interface_shows(client, viewer, workspace, number):
    with scoped(workspace.pk):
        decision = make_decision(number, "+442079460018", NOW)
        call = make_call(NOW, peer="+442079460018", disconnection_reason="network_blocked")
    list_blocked(workspace.pk, NOW)
    token = {"Authorization": f"Bearer {factories.make_token(workspace)}"}

    for address, path, filters in (
        (DECISIONS, f"decisions/{decision.decision_id}/", {}),
        (CALLS, f"calls/{call.call_reference}/", {}),
        (BLOCKED, f"blocked-calls/{decision.decision_id}/", {"source__exact": "inbound"}),
        (BLOCKED, f"blocked-calls/{call.call_reference}/", {"source__exact": "not_connected"}),
    ):
        _answer, text = exported(viewer, address, "jsonl", **filters)
        assert [json.loads(line) for line in text.splitlines()] == [client.get(f"/api/v1/{path}", headers=token).json()]


def test_calls_become_a_file_too(viewer, workspace, number):
    with scoped(workspace.pk):
        make_call(NOW, call_reference="call_a", country="GB", peer="+442079460018")
        make_call(NOW, call_reference="call_b")

    _answer, text = exported(viewer, CALLS, "csv", country__exact="GB")

    (row,) = rows_of(text)
    assert (row["call_reference"], row["peer"], row["cost_usd"]) == ("call_a", "+442079460018", "0.15")


@pytest.mark.parametrize("address", [DECISIONS, CALLS, BLOCKED])
@pytest.mark.parametrize("extension", ["csv", "jsonl"])
def test_no_row_of_another_workspace_is_in_it(viewer, workspace, number, address, extension):
    other = factories.make_workspace()
    theirs = factories.make_phone_number(other, "+14155550155")
    for owner, mine in ((workspace, number), (other, theirs)):
        with scoped(owner.pk):
            make_decision(mine, "+442079460018", NOW)
            make_call(NOW, phone_number=mine.e164)
        list_blocked(owner.pk, NOW)

    _answer, text = exported(viewer, address, extension)

    assert "+14155550100" in text
    assert "+14155550155" not in text


def test_the_scope_is_entered_for_each_chunk_and_left_again(viewer, workspace, number, monkeypatch):
    with scoped(workspace.pk):
        for minute in range(3):
            make_decision(number, "+442079460018", NOW - timedelta(minutes=minute))
    monkeypatch.setattr(exports, "CHUNK", 1)
    seen = []
    show = DecisionAdmin.export_facts

    def noting(self, decision):
        seen.append(current_scope().workspace_id)
        return show(self, decision)

    monkeypatch.setattr(DecisionAdmin, "export_facts", noting)
    answer = viewer.get(reverse(f"{DECISIONS}_export_jsonl"))

    parts = iter(answer.streaming_content)
    while next(parts, None) is not None:
        assert current_scope() is None

    assert seen == [workspace.pk] * 3


def test_chunks_join_without_a_gap_or_a_repeat_also_within_one_moment(viewer, workspace, number, monkeypatch):
    with scoped(workspace.pk):
        expected = [make_decision(number, "+442079460018", NOW - timedelta(minutes=row // 5)) for row in range(23)]
    expected.sort(key=lambda row: (row.at, row.pk), reverse=True)
    monkeypatch.setattr(exports, "CHUNK", 3)

    with CaptureQueriesContext(connection) as queries:
        _answer, text = exported(viewer, DECISIONS, "csv")

    assert [row["decision_id"] for row in rows_of(text)] == [str(row.decision_id) for row in expected]
    reads = [query["sql"] for query in queries if "counterfactuals" in query["sql"] and "LIMIT 3" in query["sql"]]
    assert len(reads) == 7  # and one of the two that are left


def test_more_rows_than_the_cap_are_cut_and_the_file_and_the_audit_log_say_so(viewer, workspace, number, monkeypatch):
    with scoped(workspace.pk):
        for minute in range(5):
            make_call(NOW - timedelta(minutes=minute), call_reference=f"call_{minute}")
    monkeypatch.setattr(CallAdmin, "most_exported", 3)

    answer, text = exported(viewer, CALLS, "csv")

    assert [row["call_reference"] for row in rows_of(text)] == ["call_0", "call_1", "call_2"]
    assert "-newest-3.csv" in answer["Content-Disposition"]
    assert entries(workspace)[0].detail["after"] | {"rows": 3, "capped": True} == entries(workspace)[0].detail["after"]
    assert "at most 3 rows" in viewer.get(reverse(f"{CALLS}_changelist")).content.decode()


def test_the_audit_log_says_who_took_which_rows_before_the_first_leaves(client, workspace, number):
    person = factories.make_member(workspace, Role.ANALYST)
    client.force_login(person)
    with scoped(workspace.pk):
        make_decision(number, "+442079460018", NOW)
        make_decision(number, "+12125550123", NOW)

    client.get(reverse(f"{DECISIONS}_export_csv"), {"verdict__exact": "block", "q": "4420"})

    (entry,) = entries(workspace)
    assert entry.actor_id == person.pk
    assert entry.detail["after"] == {
        "list": "Decisions",
        "filters": {"verdict__exact": "block", "q": "4420"},
        "format": "csv",
        "rows": 1,
        "capped": False,
    }
    assert verify(workspace.pk).bad_sequence is None


def test_the_list_offers_the_file_of_what_it_shows(viewer, workspace, number):
    with scoped(workspace.pk):
        make_decision(number, "+442079460018", NOW)
    shown = viewer.get(
        reverse(f"{DECISIONS}_changelist"), {"verdict__exact": "block", "country__exact": "GB", "p": "1"}
    )

    links = {export["title"]: export["href"] for export in shown.context["exports"]}

    export_csv = reverse(f"{DECISIONS}_export_csv")
    assert links["CSV"] == f"{export_csv}?verdict__exact=block&country__exact=GB"
    assert set(links) == {"CSV", "JSON lines"}
    assert f'href="{links["CSV"].replace("&", "&amp;")}"' in shown.content.decode()


def test_a_formula_that_a_caller_sent_is_inert(viewer, workspace, number):
    with scoped(workspace.pk):
        make_decision(number, '=cmd|" /C calc"!A0', NOW)
        make_decision(number, "+1;=2+5", NOW)

    _answer, text = exported(viewer, DECISIONS, "csv")

    assert {row["peer_text"] for row in rows_of(text)} == {'\'=cmd|" /C calc"!A0', "'+1;'=2+5"}


def test_an_empty_list_is_a_file_with_a_header(viewer):
    _answer, text = exported(viewer, CALLS, "csv")

    assert text.startswith('"call_reference","channel",')
    assert rows_of(text) == []


def test_a_filter_that_is_none_leads_back_to_the_list(viewer):
    answer = viewer.get(reverse(f"{CALLS}_export_csv"), {"started_at__nonsense": "1"})

    assert answer.status_code in (302, 400)
    assert not getattr(answer, "streaming", False)


def test_only_members_may_export(client, workspace, number):
    for name in (f"{DECISIONS}_export_csv", f"{CALLS}_export_jsonl"):
        assert client.get(reverse(name)).status_code == 302
    client.force_login(factories.make_user())
    for name in (f"{DECISIONS}_export_csv", f"{CALLS}_export_jsonl"):
        assert client.get(reverse(name)).status_code in (302, 403)
    assert entries(workspace) == []


def test_an_export_is_asked_for_by_get_alone(viewer, workspace):
    assert viewer.post(reverse(f"{CALLS}_export_csv")).status_code == 405
    assert entries(workspace) == []
