"""The home page in a real browser: wide and narrow, light and dark, quiet in the console, open to everybody."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Demo
from tests.browser.test_journey import PATIENCE_MS, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
GRAVE = {"serious", "critical"}
THEIRS: frozenset[str] = frozenset()
"""Rules of axe that the theme itself breaks around our pages."""
VIEWS = ("/admin/?period=1h&metric=concurrency", "/admin/?period=30d&metric=money&top=money", "/admin/")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_home_page_is_sound_at_every_width_and_scheme(
    browser: Browser, demo: Demo, width: int, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, base_url=demo.url, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    sign_in(page, demo)
    page.evaluate(f"localStorage.setItem('_x_adminTheme', JSON.stringify('{scheme}'))")
    for path in VIEWS:
        page.goto(path)
        expect(page.locator("#panel-risk")).to_contain_text("$")
        # Loading takes longest, so the other scheme is looked at on the page as it is.
        for is_dark in (scheme == "dark", scheme != "dark"):
            page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", is_dark)
            found = Axe().run(page, options={"preload": False}).response["violations"]
            grave = {one["id"]: [node["html"] for node in one["nodes"]] for one in found if one["impact"] in GRAVE}
            assert {rule: nodes for rule, nodes in grave.items() if rule not in THEIRS} == {}, path
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 1

    page.get_by_text("From … to …").click()
    page.get_by_label("To", exact=True).fill("2020-01-01T00:00")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("The end must lie after the start.")
    assert complaints == []
    context.close()
