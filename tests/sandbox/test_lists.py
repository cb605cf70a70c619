from __future__ import annotations

from typing import Any

import pytest

from .conftest import GB_PEER, US, US_PEER, Sandbox

START = 1_767_225_600_000
MINUTE = 60_000


def past_call(index: int, **fields: Any) -> dict[str, Any]:
    return {
        "call_id": f"call_{index}",
        "call_type": "phone_call",
        "agent_id": "agent_a" if index % 2 else "agent_b",
        "agent_version": index,
        "call_status": "ended",
        "disconnection_reason": "user_hangup",
        "direction": "outbound",
        "from_number": US,
        "to_number": US_PEER if index % 2 else GB_PEER,
        "start_timestamp": START + index * MINUTE,
        "end_timestamp": START + index * MINUTE + 5000 * index,
        "duration_ms": 5000 * index,
        "call_cost": {
            "combined_cost": 1.5 * index,
            "product_costs": [],
            "total_duration_seconds": 5 * index,
            "total_duration_unit_price": 0.3,
        },
        "metadata": {"row": index, "tag": f"t{index}", "even": index % 2 == 0},
        "call_analysis": {"call_successful": index < 3, "user_sentiment": "Neutral"},
        **fields,
    }


@pytest.fixture
def history(sandbox: Sandbox) -> Sandbox:
    calls = [past_call(index) for index in range(1, 7)]
    calls[5]["metadata"] = {}
    sandbox.post("calls", calls=calls)
    return sandbox


def found(sandbox: Sandbox, criteria: Any) -> list[int]:
    page = sandbox.retell.call.list(filter_criteria=criteria, sort_order="ascending")
    return [int(call.call_id.removeprefix("call_")) for call in page.items]


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"to_number": {"type": "string", "op": "sw", "value": "+44"}}, [2, 4, 6]),
        ({"to_number": {"type": "string", "op": "ew", "value": "0142"}}, [1, 3, 5]),
        ({"to_number": {"type": "string", "op": "co", "value": "400123"}}, [2, 4, 6]),
        ({"to_number": {"type": "string", "op": "ne", "value": GB_PEER}}, [1, 3, 5]),
        ({"call_id": {"type": "string", "op": "eq", "value": "call_4"}}, [4]),
        ({"call_id": {"type": "enum", "op": "in", "value": ["call_4", "call_1"]}}, [1, 4]),
        ({"duration_ms": {"type": "number", "op": "gt", "value": 25000}}, [6]),
        ({"duration_ms": {"type": "number", "op": "ge", "value": 25000}}, [5, 6]),
        ({"duration_ms": {"type": "number", "op": "lt", "value": 10000}}, [1]),
        ({"duration_ms": {"type": "number", "op": "le", "value": 10000}}, [1, 2]),
        ({"duration_ms": {"type": "number", "op": "ne", "value": 10000}}, [1, 3, 4, 5, 6]),
        ({"combined_cost": {"type": "number", "op": "eq", "value": 4.5}}, [3]),
        (
            {"start_timestamp": {"type": "range", "op": "bt", "value": [START + 2 * MINUTE, START + 4 * MINUTE]}},
            [2, 3, 4],
        ),
        ({"start_timestamp": {"type": "number", "op": "gt", "value": START + 4 * MINUTE}}, [5, 6]),
        ({"call_successful": {"type": "boolean", "op": "eq", "value": True}}, [1, 2]),
        ({"call_status": {"type": "enum", "op": "in", "value": ["error", "ongoing"]}}, []),
        ({"metadata": [{"key": "tag", "type": "string", "op": "eq", "value": "t2"}]}, [2]),
        ({"metadata": [{"key": "row", "type": "range", "op": "bt", "value": [2, 3]}]}, [2, 3]),
        ({"metadata": [{"key": "even", "type": "boolean", "op": "eq", "value": True}]}, [2, 4]),
        ({"metadata": [{"key": "tag", "type": "present", "op": "np"}]}, [6]),
        ({"metadata": [{"key": "tag", "type": "present", "op": "pr"}]}, [1, 2, 3, 4, 5]),
        ({"agent": [{"agent_id": "agent_a"}, {"agent_id": "agent_b", "version": [4]}]}, [1, 3, 4, 5]),
        ({"tool_calls": [{"name": "transfer"}]}, []),
        (
            {
                "to_number": {"type": "string", "op": "eq", "value": GB_PEER},
                "duration_ms": {"type": "number", "op": "lt", "value": 25000},
            },
            [2, 4],
        ),
    ],
)
def test_filters_as_the_grammar_says(history: Sandbox, criteria: Any, expected: list[int]) -> None:
    assert found(history, criteria) == expected


@pytest.mark.parametrize(
    "criteria",
    [
        [],
        {"colour": {"type": "string", "op": "eq", "value": "red"}},
        {"call_status": {"type": "enum", "op": "in", "value": ["registered"]}},
        {"call_status": ["ended"]},
        {"to_number": {"type": "enum", "op": "in", "value": [US]}},
        {"duration_ms": {"type": "number", "op": "bt", "value": 1}},
        {"duration_ms": {"type": "range", "op": "bt", "value": [1]}},
        {"call_successful": {"type": "boolean", "op": "eq", "value": 1}},
        {"metadata": [{"type": "string", "op": "eq", "value": "x"}]},
        {"agent": {"agent_id": "agent_a"}},
    ],
)
def test_refuses_a_filter_outside_the_grammar(history: Sandbox, criteria: Any) -> None:
    response = history.http.post("/v3/list-calls", json={"filter_criteria": criteria})

    assert response.status_code == 400
    assert "filter_criteria" in response.json()["message"]


def test_pages_through_calls_and_counts_them(history: Sandbox) -> None:
    not_first = {"duration_ms": {"type": "number", "op": "gt", "value": 5000}}
    first = history.retell.call.list(filter_criteria=not_first, limit=2, include_total=True)  # type: ignore[arg-type]
    second = history.retell.call.list(
        filter_criteria=not_first,  # type: ignore[arg-type]
        limit=3,
        pagination_key=first.pagination_key or "",
    )

    assert [call.call_id for call in first.items] == ["call_6", "call_5"]
    assert (first.has_more, first.total) == (True, 5)
    assert [call.call_id for call in second.items] == ["call_4", "call_3", "call_2"]
    assert (second.has_more, second.pagination_key, second.total) == (False, None, None)


def test_skips_calls(history: Sandbox) -> None:
    page = history.retell.call.list(skip=4, limit=10)

    assert [call.call_id for call in page.items] == ["call_2", "call_1"]


def test_leaves_transcripts_out_of_lists(sandbox: Sandbox) -> None:
    call_id = sandbox.dial()
    sandbox.post(f"calls/{call_id}", disconnection_reason="user_hangup", duration_ms=5000)

    listed = sandbox.http.post("/v3/list-calls", json={}).json()["items"][0]

    assert sandbox.retell.call.retrieve(call_id).transcript
    assert "transcript" not in listed
    assert listed["call_id"] == call_id
