from __future__ import annotations

from typing import Any

import pytest
import retell

from .conftest import US, Sandbox


def test_narrows_and_clears_the_country_lists_with_the_stock_client(sandbox: Sandbox) -> None:
    numbers = sandbox.retell.phone_number

    narrowed = numbers.update(US, allowed_inbound_country_list=["US", "CA", "US"], nickname="Front desk")
    cleared = numbers.update(US, allowed_inbound_country_list=None, allowed_outbound_country_list=[])

    assert narrowed.allowed_inbound_country_list == ["US", "CA"]
    assert cleared.allowed_inbound_country_list is None
    assert cleared.allowed_outbound_country_list == []
    assert cleared.nickname == "Front desk"
    assert cleared.last_modification_timestamp > narrowed.last_modification_timestamp
    assert numbers.retrieve(US) == cleared


@pytest.mark.parametrize("spelling", ["+14155550100", "%2B14155550100"])
def test_reads_a_number_in_the_path_in_both_spellings(sandbox: Sandbox, spelling: str) -> None:
    assert sandbox.http.get(f"/get-phone-number/{spelling}").json()["phone_number"] == US


@pytest.mark.parametrize("codes", [["USA"], ["us"], ["ZZ"], [""], [1], "US", {"US": True}, [None]])
def test_refuses_a_malformed_country_list_and_changes_nothing(sandbox: Sandbox, codes: Any) -> None:
    sandbox.retell.phone_number.update(US, allowed_outbound_country_list=["US"])

    response = sandbox.http.patch(
        f"/update-phone-number/{US}", json={"nickname": "No", "allowed_outbound_country_list": codes}
    )

    assert response.status_code == 400
    assert response.json()["status"] == "error"
    assert "allowed_outbound_country_list" in response.json()["message"]
    number = sandbox.retell.phone_number.retrieve(US)
    assert number.allowed_outbound_country_list == ["US"]
    assert number.nickname is None


def test_accepts_a_sanctioned_country_and_one_without_telephones(sandbox: Sandbox) -> None:
    number = sandbox.retell.phone_number.update(US, allowed_outbound_country_list=["CU", "BV"])

    assert number.allowed_outbound_country_list == ["CU", "BV"]
    with pytest.raises(retell.BadRequestError, match="Destination country is not supported"):
        sandbox.dial("+5351234567")


def test_refuses_weights_that_do_not_add_up(sandbox: Sandbox) -> None:
    agents = [{"agent_id": "agent_a", "weight": 0.5}]

    with pytest.raises(retell.BadRequestError, match="inbound_agents"):
        sandbox.retell.phone_number.update(US, inbound_agents=agents)  # type: ignore[arg-type]


def test_buys_imports_and_deletes_numbers(sandbox: Sandbox) -> None:
    numbers = sandbox.retell.phone_number

    bought = numbers.create(area_code=212, allowed_inbound_country_list=["US"])
    imported = numbers.import_(
        phone_number="+447400123456",
        termination_uri="trunk.example.com",
        sip_trunk_auth_username="desk",
        sip_trunk_auth_password="never shown",
    )
    numbers.delete(bought.phone_number)

    assert bought.phone_number.startswith("+1212")
    assert bought.allowed_inbound_country_list == ["US"]
    assert imported.phone_number_type == "custom"
    assert imported.sip_outbound_trunk_config is not None
    assert imported.sip_outbound_trunk_config.auth_username == "desk"
    assert imported.allowed_outbound_country_list is None
    assert "never shown" not in sandbox.http.get("/sandbox/log").text
    with pytest.raises(retell.UnprocessableEntityError):
        numbers.retrieve(bought.phone_number)


def test_lists_numbers_in_pages(sandbox: Sandbox) -> None:
    seeded = [{"phone_number": f"+1415555{line:04d}"} for line in range(200, 225)]
    sandbox.post("numbers", numbers=seeded)
    found: list[str] = []
    cursor: dict[str, str] = {}

    while True:
        page = sandbox.retell.phone_number.list(limit=10, sort_order="ascending", **cursor)  # type: ignore[arg-type]
        found += [item.phone_number for item in page.items]
        if not page.has_more:
            break
        cursor = {"pagination_key": page.pagination_key or ""}

    assert found == [US] + [number["phone_number"] for number in seeded]
    newest = sandbox.retell.phone_number.list(limit=1).items[0]
    assert newest.phone_number == seeded[-1]["phone_number"]


@pytest.mark.parametrize("query", ["limit=1001", "limit=0", "limit=x", "sort_order=up", "pagination_key=x"])
def test_refuses_a_list_it_cannot_give(sandbox: Sandbox, query: str) -> None:
    assert sandbox.http.get(f"/v2/list-phone-numbers?{query}").status_code == 400


def test_seeds_all_numbers_or_none(sandbox: Sandbox) -> None:
    numbers = [{"phone_number": "+14155550111"}, {"phone_number": "+14155550112", "inbound_agents": "x"}]

    response = sandbox.http.post("/sandbox/numbers", json={"numbers": numbers})

    assert response.status_code == 400
    assert "numbers[1]" in response.json()["message"]
    assert len(sandbox.retell.phone_number.list().items) == 1


def test_a_key_sees_the_numbers_of_its_account_alone(sandbox: Sandbox) -> None:
    other = "+12125550100"
    sandbox.add_number(other)
    sandbox.post("settings", api_keys=["key_a", "key_b"], accounts={"key_a": ["+1212"]})
    a, b = ({"Authorization": f"Bearer {key}"} for key in ("key_a", "key_b"))

    def listed(headers: dict[str, str]) -> list[str]:
        items = sandbox.http.get("/v2/list-phone-numbers", headers=headers).json()["items"]
        return sorted(item["phone_number"] for item in items)

    assert (listed(a), listed(b)) == ([other], [other, US])
    assert sandbox.http.get(f"/get-phone-number/{US}", headers=a).status_code == 422
    assert sandbox.http.patch(f"/update-phone-number/{other}", json={}, headers=a).status_code == 200


def test_may_show_lists_in_another_order_and_case(sandbox: Sandbox) -> None:
    sandbox.post("settings", shown_lists="reordered_lower_case")
    sandbox.http.patch(f"/update-phone-number/{US}", json={"allowed_inbound_country_list": ["CA", "US"]})

    assert sandbox.http.get(f"/get-phone-number/{US}").json()["allowed_inbound_country_list"] == ["us", "ca"]
