import base64
from datetime import timedelta

import orjson
import pytest

from accounts.scoping import scoped
from policies.models import Decision
from tests.factories import make_phone_number, make_policy, moment
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

DECISIONS = "/api/v1/decisions/"


def record(workspace, count, *, at=None):
    """`count` decisions at the same moment, which only their ids tell apart."""
    at = at or moment()
    rows = [
        Decision(
            workspace=workspace,
            at=at,
            direction="inbound",
            channel="phone_call",
            verdict="block",
            reason="country_not_allowed",
            phone_number="+14155550100",
        )
        for _ in range(count)
    ]
    with scoped(workspace.pk):
        Decision.objects.bulk_create(rows)


def walk(client, address, way="next"):
    """The ids of page after page."""
    pages = []
    while address:
        page = client.get(address).json()
        pages.append([row["decision_id"] for row in page["results"]])
        address = page[way]
    return pages


def test_shows_every_row_once_though_all_have_the_same_time(workspace):
    record(workspace, 7)

    pages = walk(client_of(workspace), f"{DECISIONS}?page_size=3")

    assert [len(page) for page in pages] == [3, 3, 1]
    assert len({row for page in pages for row in page}) == 7


def test_is_not_shifted_by_rows_that_come_in_meanwhile(workspace):
    at = moment()
    record(workspace, 4, at=at)
    client = client_of(workspace)
    first = client.get(f"{DECISIONS}?page_size=2").json()
    expected = walk(client, f"{DECISIONS}?page_size=4")[0]

    record(workspace, 3, at=at + timedelta(seconds=1))
    record(workspace, 3, at=at)
    second = client.get(first["next"]).json()

    seen = [row["decision_id"] for row in first["results"] + second["results"]]
    assert seen == expected


def test_leads_back_the_same_way(workspace):
    record(workspace, 5)
    client = client_of(workspace)
    forwards = walk(client, f"{DECISIONS}?page_size=2")
    last = client.get(client.get(client.get(f"{DECISIONS}?page_size=2").json()["next"]).json()["next"]).json()

    backwards = walk(client, last["previous"], way="previous")

    assert [*backwards[::-1], forwards[2]] == forwards


def test_keeps_filters_on_the_way(workspace):
    record(workspace, 3)
    client = client_of(workspace)

    page = client.get(f"{DECISIONS}?verdict=block&page_size=2").json()

    assert "verdict=block" in page["next"]
    assert client.get(f"{DECISIONS}?verdict=allow").json()["results"] == []


def test_has_neither_next_nor_previous_on_an_only_page(workspace):
    make_phone_number(workspace)

    page = client_of(workspace).get("/api/v1/phone-numbers/").json()

    assert (page["next"], page["previous"], len(page["results"])) == (None, None, 1)


@pytest.mark.parametrize(("size", "shown"), [("2", 2), ("1000", 3), ("1001", 3), ("9" * 400, 3)])
def test_takes_a_page_size_and_caps_it(workspace, size, shown):
    for number in range(3):
        make_policy(workspace, name=f"P{number}")

    page = client_of(workspace).get(f"/api/v1/country-policies/?page_size={size}").json()

    assert len(page["results"]) == shown


@pytest.mark.parametrize("size", ["0", "-1", "abc", "", "1.5", "٣", "%00"])
def test_refuses_a_page_size_that_is_none(workspace, size):
    assert_problem(client_of(workspace).get(f"{DECISIONS}?page_size={size}"), 422, "page_size")


def _cursor(*values):
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param("", id="empty"),
        pytest.param("!!", id="not base64"),
        pytest.param("é", id="not ASCII"),
        pytest.param("AAAA", id="not JSON"),
        pytest.param(_cursor(), id="nothing in it"),
        pytest.param(_cursor(0, "2026-01-01T00:00:00Z"), id="too short"),
        pytest.param(_cursor(2, "2026-01-01T00:00:00Z", 1), id="third direction"),
        pytest.param(_cursor(0, 5, 1), id="number for a time"),
        pytest.param(_cursor(0, "yesterday", 1), id="no time"),
        pytest.param(_cursor(0, "2026-01-01T00:00:00", 1), id="time without zone"),
        pytest.param(_cursor(0, "0001-01-01T00:00:00+14:00", 1), id="before all time"),
        pytest.param(_cursor(0, "2026-01-01T00:00:00Z", "1"), id="text for a number"),
        pytest.param(_cursor(0, "2026-01-01T00:00:00Z", [1]), id="list for a number"),
        pytest.param(_cursor(0, "2026-01-01T00:00:00Z", True), id="truth for a number"),
        pytest.param(base64.urlsafe_b64encode(b"{}").decode(), id="an object"),
    ],
)
def test_refuses_a_cursor_it_never_gave(workspace, cursor):
    record(workspace, 1)

    assert_problem(client_of(workspace).get(DECISIONS, {"cursor": cursor}), 422, "cursor")


def test_stands_a_cursor_beyond_all_ids(workspace):
    record(workspace, 1)

    response = client_of(workspace).get(DECISIONS, {"cursor": _cursor(0, "2126-01-01T00:00:00Z", 2**62)})

    assert len(response.json()["results"]) == 1
