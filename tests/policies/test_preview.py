import io
import time

import orjson
import pytest
from django.core.management import CommandError, call_command

from accounts.scoping import scoped
from policies import actions
from policies.management.commands.preview import verdicts
from policies.models import Decision
from tests.factories import make_phone_number, make_workspace, moment
from tests.rest import client_of

pytestmark = pytest.mark.django_db

TO_CUBA = {"direction": "outbound", "from_number": "+14155550100", "to_number": "+5351234567"}
TO_CANADA = TO_CUBA | {"to_number": "+14165550123"}


@pytest.fixture
def demo():
    workspace = make_workspace(slug="demo")
    make_phone_number(workspace)
    return workspace


def preview(monkeypatch, text: bytes) -> list[dict]:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    call_command("preview", "--workspace", "demo", "--stream", stdout=out)
    return [orjson.loads(line) for line in out.getvalue().splitlines()]


def lines(*attempts) -> bytes:
    return b"".join(orjson.dumps(attempt) + b"\n" for attempt in attempts)


def test_answers_each_line_in_order_with_what_the_api_would_say(monkeypatch, demo):
    answers = preview(monkeypatch, lines(TO_CUBA, TO_CANADA, TO_CUBA))

    assert [answer["verdict"] for answer in answers] == ["block", "allow", "block"]
    assert answers[0] == client_of(demo).post("/api/v1/decisions/preview/", TO_CUBA).json()
    with scoped(demo.pk):
        assert not Decision.objects.exists()


@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5, 10**30, "", "+5351234567", [], [TO_CANADA], {}, {"to_number": {"a": [1]}}]
)
def test_lets_no_json_value_through_that_is_no_attempt(monkeypatch, demo, value):
    text = str(value).encode() if value == 10**30 else orjson.dumps(value)

    (answer,) = preview(monkeypatch, text + b"\n")

    assert answer["verdict"] == "block"


@pytest.mark.parametrize("line", [b"", b"  ", b"{", b"nonsense", b"\xff\xfe\x00", b"NaN", b"[" * 50_000, b"{} {}"])
def test_answers_a_line_that_is_not_json_with_an_error_and_goes_on(monkeypatch, demo, line):
    answers = preview(monkeypatch, line + b"\n" + lines(TO_CANADA))

    assert answers[0]["error"]["code"] == "malformed"
    assert answers[1]["verdict"] == "allow"


@pytest.mark.parametrize("line", [b'"\\ud800"', b'{"to_number": "+1\\ud800"}', b'{"\\udfff": "\\ud800"}'])
def test_judges_half_characters_like_any_other_text(monkeypatch, demo, line):
    (answer,) = preview(monkeypatch, line + b"\n")

    assert answer["verdict"] == "block"


def test_answers_a_last_line_that_does_not_end(monkeypatch, demo):
    assert len(preview(monkeypatch, orjson.dumps(TO_CUBA))) == 1
    assert preview(monkeypatch, b"") == []


def test_answers_each_line_before_the_next_is_written(monkeypatch, demo):
    asked = []

    def attempts():
        for attempt in (TO_CUBA, TO_CANADA):
            asked.append(attempt)
            yield orjson.dumps(attempt)

    answers = verdicts(attempts(), demo.pk)

    assert orjson.loads(next(answers))["verdict"] == "block"
    assert asked == [TO_CUBA]


def test_asks_the_database_nothing_per_line(demo, django_assert_num_queries, monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    answers = verdicts((orjson.dumps(TO_CUBA) for _ in range(500)), demo.pk)
    next(answers)

    with django_assert_num_queries(0):
        assert len(list(answers)) == 499


def test_sees_an_edit_within_a_second(demo, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    answers = verdicts((orjson.dumps(TO_CANADA) for _ in range(3)), demo.pk)
    assert orjson.loads(next(answers))["verdict"] == "allow"
    with scoped(demo.pk):
        number = demo.phonenumber_set.get()
    actions.edit_phone_number(phone_number=number, outbound_countries=["US"], acting_user=None, now=moment())

    assert orjson.loads(next(answers))["verdict"] == "allow"
    clock[0] += 1.1

    assert orjson.loads(next(answers))["reason"] == "country_not_allowed"


def test_refuses_a_workspace_that_is_none():
    with pytest.raises(CommandError, match="no workspace 'nowhere'"):
        call_command("preview", "--workspace", "nowhere", "--stream")


def test_says_that_limits_and_caps_are_not_looked_at(monkeypatch, demo, capsys):
    (answer,) = preview(monkeypatch, lines(TO_CANADA | {"channel": "phone_call", "ip": "192.0.2.1"}))

    assert answer["verdict"] == "allow"
    outcomes = {line["check"]: line["outcome"] for line in answer["trace"]}
    assert (outcomes["limits"], outcomes["caps"]) == ("not_evaluated", "not_evaluated")
    with pytest.raises(SystemExit):
        call_command("preview", "--help")
    assert "limits and caps are not_evaluated" in " ".join(capsys.readouterr().out.split())
