"""What the gate asks UponAI to start, and how it finds it again."""

import pytest

from policies.engine.types import Channel
from policies.uponai import payloads


def body(fields, channel=Channel.PHONE_CALL, **more):
    return payloads.start_body(fields, channel=channel, decision_id="d1", **more)


def test_puts_the_gates_words_over_the_callers():
    fields = {
        "from_number": "x",
        "to_number": "y",
        "idempotency_key": "mine",
        "metadata": {"decision_id": "forged", "a": 1},
        "agent_override": {"agent": {"max_call_duration_ms": 99_000, "voice_id": "v"}, "retell_llm": {}},
    }

    assert body(fields, from_number="+1", to_number="+2", call_seconds=60) == {
        "from_number": "+1",
        "to_number": "+2",
        "idempotency_key": "d1",
        "metadata": {"decision_id": "d1", "a": 1},
        "agent_override": {"agent": {"max_call_duration_ms": 60_000, "voice_id": "v"}, "retell_llm": {}},
    }
    assert fields["metadata"] == {"decision_id": "forged", "a": 1}
    assert fields["agent_override"]["agent"]["max_call_duration_ms"] == 99_000


@pytest.mark.parametrize(
    "override", [None, {}, {"agent": None}, {"agent": {}}, {"agent": {"max_call_duration_ms": None}}]
)
def test_caps_whatever_shape_the_override_has(override):
    fields = {} if override is None else {"agent_override": override}

    assert body(fields, call_seconds=60)["agent_override"]["agent"] == {"max_call_duration_ms": 60_000}


def test_caps_nothing_where_there_is_no_cap_or_no_length():
    assert "agent_override" not in body({})
    for channel in (Channel.SMS, Channel.CHAT):
        assert body({}, channel, call_seconds=60) == {"metadata": {"decision_id": "d1"}}
    assert body({}, Channel.WEB_CALL, call_seconds=60) == {
        "metadata": {"decision_id": "d1"},
        "agent_override": {"agent": {"max_call_duration_ms": 60_000}},
    }


@pytest.mark.parametrize(
    ("channel", "agent", "version"),
    [
        (Channel.PHONE_CALL, "override_agent_id", "override_agent_version"),
        (Channel.SMS, "override_agent_id", "override_agent_version"),
        (Channel.WEB_CALL, "agent_id", "agent_version"),
        (Channel.CHAT, "agent_id", "agent_version"),
    ],
)
def test_guards_with_the_guarded_agent_and_no_version_of_another(channel, agent, version):
    guarded = body({agent: "agent_a", version: 3}, channel, guarded_agent="agent_guarded")

    assert guarded[agent] == "agent_guarded"
    assert version not in guarded


@pytest.mark.parametrize(
    ("item", "mine"),
    [
        ({"metadata": {"decision_id": "d1"}}, True),
        ({"metadata": {"decision_id": "d2"}}, False),
        ({"metadata": {"decision_id": ["d1"]}}, False),
        ({"metadata": "d1"}, False),
        ({}, False),
        (None, False),
        ("d1", False),
    ],
)
def test_recognises_what_carries_a_decision(item, mine):
    assert payloads.carries(item, "d1") is mine


@pytest.mark.parametrize(
    ("answer", "channel", "name"),
    [
        ({"call_id": "call_1"}, Channel.PHONE_CALL, "call_1"),
        ({"call_id": "call_1"}, Channel.CHAT, ""),
        ({"chat_id": "chat_1"}, Channel.SMS, "chat_1"),
        ({"call_id": 7}, Channel.WEB_CALL, ""),
        ([], Channel.WEB_CALL, ""),
    ],
)
def test_reads_the_id_of_what_was_started(answer, channel, name):
    assert payloads.named_in(answer, channel) == name
