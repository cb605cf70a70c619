"""The main pages in a real browser: open to everybody, no wider than the screen, quiet in the browser's console."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Demo
from tests.browser.test_home import GRAVE, THEIRS
from tests.browser.test_journey import PATIENCE_MS, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

LISTS = (
    "monitoring/blockedcall",
    "monitoring/call",
    "policies/phonenumber",
    "policies/countrypolicy",
    "policies/hold",
    "accounts/publickey",
    "accounts/kycrecord",
    "accounts/subject",
)
PAGES = (
    "policies/decision/test-call",
    "policies/synctarget",
    "policies/uponaiconnection",
    "exposure",
    "ungated",
    "monitoring/alert",
    "accounts/workspace",
)


# Loading a page takes longer than looking at it, so each is loaded once: wide and light, then made narrow and dark.
def test_the_main_pages_are_sound(browser: Browser, demo: Demo) -> None:
    context = browser.new_context(base_url=demo.url, color_scheme="light", reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    sign_in(page, demo)

    found: dict[str, Any] = {}
    for name in (*PAGES, *LISTS):
        found |= _unsound(page, f"/admin/{name}/")
        first = page.locator(f"a[href*='/admin/{name}/'][href*='/change/']").first
        if name in LISTS and first.count():
            found |= _unsound(page, first.get_attribute("href") or "")

    assert found == {}
    assert complaints == []
    context.close()


def _unsound(page: Page, address: str) -> dict[str, Any]:
    """What axe finds grave beyond the theme's own, and how far the page is wider than the screen."""
    found: dict[str, Any] = {}
    for scheme, width in (("light", 1440), ("dark", 390)):
        page.set_viewport_size({"width": width, "height": 900})
        if scheme == "light":
            page.goto(address)
        page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", scheme == "dark")
        answer = Axe().run(page, options={"preload": False, "resultTypes": ["violations"]}).response
        grave = {one["id"]: one["nodes"][0]["html"] for one in answer["violations"] if one["impact"] in GRAVE}
        found |= {f"{address} {scheme} {rule}": html for rule, html in grave.items() if rule not in THEIRS}
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wider > 1:
            found[f"{address} {width}"] = f"{wider} pixels wider than the screen"
    return found
