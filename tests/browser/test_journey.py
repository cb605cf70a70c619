"""A newcomer's first ten minutes: sign in, close a country, see it arrive, see the calls it stops."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.browser.conftest import Demo

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PATIENCE_MS = 30_000
JAMAICAN, CUBAN = "+18765550123", "+5351234567"


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    """Signed in as the owner; anything the browser's console complains of fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, base_url=demo.url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    sign_in(page, demo)
    yield page
    context.close()
    assert complaints == []


def sign_in(page: Page, demo: Demo) -> None:
    page.goto("/")
    page.get_by_label("E-mail").fill("owner@demo.example")
    page.get_by_label("Password").fill(demo.values["DEMO_PASSWORD"])
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Blocked calls", exact=True)).to_be_visible()


def a_number_with_countries(demo: Demo) -> str:
    """A number that several countries may call, and that UponAI has as we want it."""
    for number in demo.api("phone-numbers/")["results"]:
        if len(number["allowed_inbound_country_list"] or []) > 1 and number["sync"]["state"] == "synced":
            return str(number["phone_number"])
    raise AssertionError("The demo has no synced number with a list.")


def countries_open_for_now(demo: Demo) -> list[str]:
    """UponAI's list has them too, for as long as the open lasts, though no country policy does."""
    opens = demo.api("opens/")["results"]
    return [one["value"] for one in opens if one["scope"] == "country" and one["direction"] in {"inbound", "both"}]


def test_a_closed_country_reaches_uponai_and_its_calls_are_blocked(page: Page, demo: Demo, screenshots: Path) -> None:
    e164 = a_number_with_countries(demo)
    page.goto(f"/admin/policies/phonenumber/?q={e164[1:]}")
    page.locator("#result_list tbody tr a").first.click()
    inbound = page.locator("#inbound")
    closed = inbound.locator("button[name=remove]").first.get_attribute("value")
    page.screenshot(path=screenshots / "number-before.png", full_page=True)

    inbound.locator(f"button[name=remove][value={closed}]").click()
    clicked = time.monotonic()

    expect(inbound.locator(f"button[name=remove][value={closed}]")).to_have_count(0)
    expect(page.locator("#sync-state")).to_have_attribute("data-state", "synced", timeout=PATIENCE_MS)
    print(f"edit to synced on the page: {time.monotonic() - clicked:.2f} s")
    page.screenshot(path=screenshots / "number-synced.png", full_page=True)
    at_uponai = demo.sandbox(f"get-phone-number/{e164}")["allowed_inbound_country_list"]
    assert closed not in at_uponai
    wanted = {*demo.api(f"phone-numbers/{e164}/")["allowed_inbound_country_list"], *countries_open_for_now(demo)}
    assert set(at_uponai) == wanted

    page.goto("/admin/")
    outcomes = [
        demo.sandbox("sandbox/inbound-call", "POST", {"from_number": caller, "to_number": e164})
        for caller in (JAMAICAN, CUBAN)
    ]
    called = time.monotonic()
    assert [outcome["outcome"] for outcome in outcomes] == ["rejected", "rejected"]
    assert [outcome["by"] for outcome in outcomes] == ["webhook", "webhook"]

    newest = page.locator("#panel-newest")
    expect(newest).to_contain_text("876-555-0123", timeout=PATIENCE_MS)
    expect(newest).to_contain_text("5 1234567", timeout=PATIENCE_MS)
    print(f"call to visible on the home page: {time.monotonic() - called:.2f} s")
    expect(newest).to_contain_text(re.compile("sanction", re.IGNORECASE))
    page.screenshot(path=screenshots / "home.png", full_page=True)

    newest.get_by_role("link", name=re.compile("Why", re.IGNORECASE)).first.click()
    expect(page.locator("body")).to_contain_text("Blocked:")
    page.screenshot(path=screenshots / "decision.png", full_page=True)


def test_an_edit_by_rest_is_synced_and_a_bad_one_changes_nothing(demo: Demo) -> None:
    e164 = a_number_with_countries(demo)

    edited = demo.api(
        f"phone-numbers/{e164}/?wait=synced", "PATCH", {"allowed_outbound_country_list": ["us", "MX", "US"]}
    )
    refused = demo.api(f"phone-numbers/{e164}/", "PATCH", {"allowed_outbound_country_list": ["US", "RU"]})

    assert edited["allowed_outbound_country_list"] == ["MX", "US"]
    assert edited["sync"]["state"] == "synced"
    assert demo.sandbox(f"get-phone-number/{e164}")["allowed_outbound_country_list"] == ["MX", "US"]
    assert refused["status"] == 422
    assert refused["errors"][0]["field"] == "allowed_outbound_country_list"
    assert demo.api(f"phone-numbers/{e164}/")["allowed_outbound_country_list"] == ["MX", "US"]


def test_an_attempt_is_judged_while_one_types_it(page: Page, demo: Demo) -> None:
    page.goto("/admin/policies/decision/test-call/")
    said = page.locator(".fc-sentence__text")

    page.get_by_role("textbox", name="From (the other side)").press_sequentially(CUBAN, delay=20)
    expect(said).to_contain_text("Cuba is on the platform sanctions list")
    expect(page).to_have_url(re.compile(r"peer=%2B5351234567"))
    page.reload()
    expect(said).to_contain_text("Cuba")

    page.get_by_role("link", name="A caller from our own country").click()
    expect(said).to_have_text("Allowed.")
    page.get_by_label("Direction").select_option("outbound")
    expect(page.get_by_role("textbox", name="To (the other side)")).to_be_visible()


@pytest.mark.parametrize(("width", "name", "scheme"), [(1440, "desktop", "light"), (390, "phone", "dark")])
def test_every_page_opens_at_desktop_and_phone_width_light_and_dark(
    browser: Browser, demo: Demo, screenshots: Path, width: int, name: str, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, base_url=demo.url, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    sign_in(page, demo)
    page.evaluate(f"localStorage.setItem('_x_adminTheme', JSON.stringify('{scheme}'))")
    for title, path in PAGES.items():
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        page.wait_for_load_state("networkidle")
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        page.screenshot(path=screenshots / f"{title}-{name}-{scheme}.png", full_page=True)
        assert overflow <= 1, f"{path} scrolls sideways at {width} px"
    context.close()


PAGES = {
    "home": "/admin/",
    "blocked-calls": "/admin/monitoring/blockedcall/",
    "calls": "/admin/monitoring/call/",
    "test-a-call": "/admin/policies/decision/test-call/?peer=%2B5352345678",
    "phone-numbers": "/admin/policies/phonenumber/",
    "country-policies": "/admin/policies/countrypolicy/",
    "public-keys": "/admin/accounts/publickey/",
    "kyc-records": "/admin/accounts/kycrecord/",
    "subjects": "/admin/accounts/subject/",
    "audit-log": "/admin/accounts/auditentry/",
}
