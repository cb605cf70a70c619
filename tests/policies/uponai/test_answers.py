"""The customer's own webhook's answer under ours: who wins where."""

from __future__ import annotations

import json

import pytest

from policies.uponai.answers import UnusableAnswer, is_guarded, is_rejected, merge_inbound, read_answer, read_bindings

REJECT = {"reject": True}
THEIRS = {
    "override_agent_id": "agent_theirs",
    "override_agent_version": 7,
    "dynamic_variables": {"name": "Ann"},
    "metadata": {"crm": "42"},
    "agent_override": {"agent": {"voice_id": "anna"}},
}


def guarded(**more):
    cap = {"agent": {"max_call_duration_ms": 60_000}}
    return {"metadata": {"gate": "guard"}, "agent_override": cap, **more}


@pytest.mark.parametrize("theirs", [{}, THEIRS, {"reject": False}, {"reject": "true"}])
def test_a_block_of_ours_wins_over_everything(theirs):
    assert merge_inbound(REJECT, theirs) == REJECT


@pytest.mark.parametrize("ours", [{}, {"override_agent_id": "agent_ours"}, guarded()])
def test_they_may_reject_what_we_let_in(ours):
    assert merge_inbound(ours, {**THEIRS, "reject": True}) == REJECT


@pytest.mark.parametrize("almost", ["true", 1, [True], {"true": True}])
def test_only_a_json_true_rejects(almost):
    assert merge_inbound({}, {**THEIRS, "reject": almost}) == THEIRS
    assert not is_rejected({"reject": almost})


def test_when_we_allow_their_agent_variables_and_metadata_win():
    ours = {"override_agent_id": "agent_bound", "override_agent_version": 3, "metadata": {"crm": "0", "id": "d1"}}

    assert merge_inbound(ours, THEIRS) == {**THEIRS, "metadata": {"crm": "42", "id": "d1"}}


def test_a_version_belongs_to_the_agent_it_was_named_with():
    ours = {"override_agent_id": "agent_bound", "override_agent_version": 3}

    assert merge_inbound(ours, {"override_agent_id": "agent_theirs"}) == {"override_agent_id": "agent_theirs"}
    assert merge_inbound(ours, {"dynamic_variables": {}}) == {**ours, "dynamic_variables": {}}


def test_fields_that_we_do_not_know_go_through():
    assert merge_inbound({}, {"something_new": [1]}) == {"something_new": [1]}


def test_under_guard_our_agent_and_cap_win_and_their_variables_stay():
    merged = merge_inbound(guarded(override_agent_id="agent_guarded"), THEIRS)

    assert merged == {
        "override_agent_id": "agent_guarded",
        "dynamic_variables": {"name": "Ann"},
        "metadata": {"crm": "42", "gate": "guard"},
        "agent_override": {"agent": {"max_call_duration_ms": 60_000}},
    }


def test_under_guard_without_a_guarded_agent_theirs_answers_capped():
    merged = merge_inbound(guarded(), THEIRS)

    assert merged["override_agent_id"] == "agent_theirs"
    assert merged["agent_override"] == {"agent": {"voice_id": "anna", "max_call_duration_ms": 60_000}}


@pytest.mark.parametrize(
    ("theirs", "cap"), [(30_000, 30_000), (90_000, 60_000), (0, 60_000), (-1, 60_000), (True, 60_000), ("9", 60_000)]
)
def test_the_shorter_cap_wins_under_guard(theirs, cap):
    answer = {"agent_override": {"agent": {"max_call_duration_ms": theirs}, "retell_llm": {"model": "m"}}}

    merged = merge_inbound(guarded(), answer)["agent_override"]

    assert merged == {"agent": {"max_call_duration_ms": cap}, "retell_llm": {"model": "m"}}


def test_their_metadata_cannot_hide_that_a_call_is_guarded():
    assert is_guarded(merge_inbound(guarded(), {"metadata": {"gate": "open"}}))


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b'{"call_inbound":null}', b'{"chat_inbound":{"reject":true}}'])
def test_nothing_said_is_nothing_wanted(body):
    assert read_answer(body, "call_inbound") == {}


def test_reads_what_counts_and_leaves_null_out():
    body = json.dumps({"call_inbound": {**THEIRS, "override_agent_id": None}}).encode()

    assert read_answer(body, "call_inbound") == {k: v for k, v in THEIRS.items() if k != "override_agent_id"}


@pytest.mark.parametrize(
    "answer",
    [
        [],
        "yes",
        {"override_agent_id": 7},
        {"override_agent_id": ""},
        {"override_agent_version": True},
        {"dynamic_variables": {"age": 40}},
        {"dynamic_variables": []},
        {"metadata": "crm"},
        {"agent_override": {"agent": 1}},
        {"agent_override": []},
    ],
)
def test_what_uponai_would_not_take_is_unusable(answer):
    with pytest.raises(UnusableAnswer):
        read_answer(json.dumps({"call_inbound": answer}).encode(), "call_inbound")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"7", b"\xff", b'{"call_inbound":', b"[" * 100_000])
def test_what_is_no_json_object_is_unusable(body):
    with pytest.raises(UnusableAnswer):
        read_answer(body, "call_inbound")


def test_reads_the_bound_agents_with_weight_and_version():
    number = {
        "inbound_agents": [
            {"agent_id": "agent_a", "weight": 0.5, "agent_version": "latest", "other": 1},
            {"agent_id": "agent_b", "weight": 0.5, "agent_version": None},
            {"agent_id": ""},
            "agent_c",
        ]
    }

    assert read_bindings(number) == [
        {"agent_id": "agent_a", "weight": 0.5, "agent_version": "latest"},
        {"agent_id": "agent_b", "weight": 0.5},
    ]
    assert read_bindings({}) == read_bindings({"inbound_agents": None}) == []
