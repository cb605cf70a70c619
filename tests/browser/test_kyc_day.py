"""A reviewer's day: claim, read, ask, receive, propose; a second reviewer confirms; the subject's call passes."""

from __future__ import annotations

import io
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, ConsoleMessage, FilePayload, Page, expect

from policies.engine.limits import KEY_DEFAULTS
from tests.browser.conftest import Demo
from tests.browser.test_journey import PATIENCE_MS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ORIGIN = "https://portal.harbor.example"
OURS, PEER, UNDECLARED = "+14155550101", "+14155550123", "+16135550142"
NAME, REFERENCE = "Mira Sandoval", "portal-4711"
QUEUE = "/admin/accounts/kycrecord/"


@contextmanager
def at_work(browser: Browser, demo: Demo, who: str, *, width: int = 1440, scheme: Any = "light") -> Iterator[Page]:
    """Signed in; anything the browser's console complains of fails the test."""
    context = browser.new_context(viewport={"width": width, "height": 900}, base_url=demo.url, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(QUEUE)
    page.get_by_label("E-mail").fill(f"{who}@demo.example")
    page.get_by_label("Password").fill(demo.values["DEMO_PASSWORD"])
    page.get_by_role("button", name="Log in").click()
    page.evaluate(f"localStorage.setItem('_x_adminTheme', JSON.stringify('{scheme}'))")
    yield page
    context.close()
    assert complaints == []


def paper(name: str, words: str, *, tint: str = "#e8eef4") -> FilePayload:
    image = Image.new("RGB", (900, 620), tint)
    drawing = ImageDraw.Draw(image)
    drawing.rectangle((40, 130, 280, 470), fill="#b9c6d3", outline="#34506b", width=4)
    drawing.text((40, 40), words, fill="#102a43", font_size=44)
    drawing.text((320, 150), NAME, fill="#102a43", font_size=36)
    content = io.BytesIO()
    image.save(content, "JPEG")
    return {"name": name, "mimeType": "image/jpeg", "buffer": content.getvalue()}


def call_as_the_subject(demo: Demo, key: str, to_number: str = PEER) -> tuple[int, Any]:
    """What the portal's page does when the subject presses the button."""
    token = demo.api("end-user-tokens/", "POST", {"subject": REFERENCE})["token"]
    request = urllib.request.Request(
        f"{demo.url}/gate/v2/create-phone-call",
        method="POST",
        data=json.dumps({"to_number": to_number}).encode(),
        headers={
            "Authorization": f"Bearer {key}",
            "Origin": ORIGIN,
            "X-End-User-Token": token,
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


def hand_in_a_paper(demo: Demo, record: int, file: FilePayload) -> None:
    """As the customer's systems do: multipart/form-data."""
    kind = b'--cut\r\nContent-Disposition: form-data; name="kind"\r\n\r\nidentity_card\r\n'
    head = f'--cut\r\nContent-Disposition: form-data; name="file"; filename="{file["name"]}"\r\n\r\n'.encode()
    request = urllib.request.Request(
        f"{demo.url}/api/v1/kyc-records/{record}/documents/",
        method="POST",
        data=kind + head + file["buffer"] + b"\r\n--cut--\r\n",
        headers={"Authorization": f"Bearer {demo.token}", "Content-Type": "multipart/form-data; boundary=cut"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 201


@pytest.fixture(scope="module")
def key(demo: Demo) -> str:
    wanted = {
        "name": "Portal",
        "domains": ["portal.harbor.example"],
        "channels": ["phone_call"],
        "phone_number": OURS,
        "agent": "agent_front_desk",
        "kyc_level": 2,
        # A store that is new to a workspace with history lets little through for ten minutes, which are not waited for.
        "limits": {name.value: None for name in KEY_DEFAULTS},
    }
    return str(demo.api("public-keys/", "POST", wanted)["key"])


@pytest.fixture(scope="module")
def case(demo: Demo) -> str:
    """The path of a case that the customer's systems handed in, at a level that takes two people."""
    demo.api(
        "subjects/",
        "POST",
        {
            "reference": REFERENCE,
            "name": NAME,
            "phone": "+14155550188",
            "nationalities": ["US"],
            "country_of_residence": "US",
            "date_of_birth": "1988-02-29",
        },
    )
    use = {"declared_countries": ["US"], "declared_calls_per_day": 20, "declared_purpose": "Books journeys"}
    record = demo.api("kyc-records/", "POST", {"subject": REFERENCE, "level": 3} | use)
    hand_in_a_paper(demo, record["id"], paper("card.jpg", "IDENTITY CARD"))
    handed_in = demo.api(f"kyc-records/{record['id']}/submit/", "POST", {})
    assert handed_in["state"] == "submitted", handed_in
    return f"{QUEUE}{record['id']}/change/"


def test_a_case_goes_from_the_queue_to_the_subjects_first_call(
    browser: Browser, demo: Demo, key: str, case: str, screenshots: Path
) -> None:
    status, refused = call_as_the_subject(demo, key)
    assert (status, refused["code"]) == (403, "challenge_kyc")

    with at_work(browser, demo, "reviewer") as page:
        link = claim_and_ask_for_more(page, screenshots)
        hand_in_by_the_link(browser, link, screenshots)
        read_and_propose(page, case, screenshots)

    status, refused = call_as_the_subject(demo, key)
    assert (status, refused["code"]) == (403, "challenge_kyc")

    with at_work(browser, demo, "second.reviewer") as page:
        confirm(page, screenshots)
    confirmed = time.monotonic()

    status, started = call_as_the_subject(demo, key)
    while status == 403 and time.monotonic() < confirmed + PATIENCE_MS / 1000:
        status, started = call_as_the_subject(demo, key)
    print(f"confirmed to the first call: {time.monotonic() - confirmed:.2f} s")
    assert status == 201, started
    assert started["to_number"] == PEER
    the_call_is_shown_on_the_case(browser, demo, case, screenshots)
    what_was_not_declared_opens_the_case_again(browser, demo, key, screenshots)


def claim_and_ask_for_more(page: Page, screenshots: Path) -> str:
    page.get_by_placeholder("Name, reference or phone").fill(REFERENCE)
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name=NAME).click()
    expect(page.get_by_label("In short")).to_contain_text("Waits for a reviewer. New.")
    page.get_by_role("button", name="Claim", exact=True).click()
    expect(page.get_by_label("In short")).to_contain_text("You are working on this case.")
    expect(page.locator("#screening")).to_contain_text("Not screened.")
    expect(page.locator("#tried")).to_contain_text("1 stopped")

    page.keyboard.press("m")
    form = page.get_by_role("form", name="Ask for more")
    expect(form).to_be_visible()
    page.keyboard.press("1")
    expect(form.get_by_label("Document is missing")).to_be_checked()
    form.get_by_label("To the subject").fill("Please send your passport, a photo of yourself and a bill.")
    page.screenshot(path=screenshots / "kyc-ask-for-more.png")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_label("In short")).to_contain_text("Waiting for the subject. Document is missing.")
    expect(page.locator("body")).to_contain_text("Paused after")

    page.get_by_role("button", name="Link for the subject").click()
    return page.locator("[data-kyc-link]").inner_text()


def hand_in_by_the_link(browser: Browser, link: str, screenshots: Path) -> None:
    """On a phone, without an account."""
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(link)
    expect(page.locator("body")).to_contain_text("Please send your passport")
    page.get_by_label("Which one?").select_option("passport")
    page.locator("#file-identity").set_input_files(paper("passport.jpg", "PASSPORT"))
    page.locator("#file-selfie").set_input_files(paper("me.jpg", "ME", tint="#f4ece8"))
    page.locator("#file-address").set_input_files(paper("bill.jpg", "BILL", tint="#ffffff"))
    page.screenshot(path=screenshots / "kyc-upload.png", full_page=True)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("body")).to_contain_text(re.compile("thank", re.IGNORECASE), timeout=PATIENCE_MS)
    context.close()


def read_and_propose(page: Page, case: str, screenshots: Path) -> None:
    page.goto(f"{QUEUE}?view=mine")
    expect(page.get_by_role("row", name=re.compile(NAME))).to_contain_text("The subject answered")
    page.goto(case)
    page.get_by_role("button", name="Claim", exact=True).click()
    image = page.locator("[data-kyc-document]:not([hidden]) img")
    expect(image).to_have_js_property("complete", value=True)
    expect(image).not_to_have_js_property("naturalWidth", 0)
    page.get_by_role("tab", name="Photo of the person").click()
    expect(image).to_have_attribute("alt", "Photo of the person, page 1")
    expect(image).not_to_have_js_property("naturalWidth", 0)
    page.keyboard.press("t")
    expect(image).to_have_attribute("style", re.compile(r"rotate\(90deg\)"))
    page.keyboard.press("+")
    expect(page.locator("[data-kyc-document]:not([hidden]) .fc-kyc-zoom")).to_have_text("150 %")

    page.keyboard.press("a")
    expect(page.get_by_role("form", name="Propose to approve")).to_contain_text("Not ticked yet")
    page.keyboard.press("Escape")
    for item in page.locator("#checklist [role=checkbox]").all():
        item.click()
        expect(page.locator(f"#{item.get_attribute('id')}")).to_have_attribute("aria-checked", "true")
    page.reload()
    expect(page.locator("#checklist [aria-checked=false]")).to_have_count(0)
    expect(page.locator("#unlocks")).to_contain_text("Gate key “Portal”, which asks for level 2.")
    page.screenshot(path=screenshots / "kyc-case.png")

    page.keyboard.press("a")
    form = page.get_by_role("form", name="Propose to approve")
    expect(form).to_contain_text("A second reviewer decides: level 3 is confirmed by a second reviewer.")
    form.get_by_label("For colleagues").fill("All papers are there and fit.")
    form.get_by_role("button", name="Propose to approve").click()
    expect(page.get_by_label("In short")).to_contain_text("You propose to approve it.")
    expect(page.get_by_label("In short")).to_contain_text("You proposed this, so somebody else confirms it.")


def confirm(page: Page, screenshots: Path) -> None:
    page.get_by_role("link", name="For a second reviewer").click()
    page.get_by_role("link", name=NAME).click()
    proposal = page.get_by_label("The proposal")
    expect(proposal).to_contain_text("Approval was proposed by Rosa Delgado")
    expect(proposal).to_contain_text("Level 3 is confirmed by a second reviewer")
    page.screenshot(path=screenshots / "kyc-second-reviewer.png")
    page.keyboard.press("a")
    page.get_by_role("form", name="Confirm the approval").get_by_role("button", name="Confirm the approval").click()
    expect(page.get_by_label("In short")).to_contain_text("Approved at level 3 until")
    expect(page.get_by_label("In short")).to_contain_text("confirmed by Sam Okafor")


def the_call_is_shown_on_the_case(browser: Browser, demo: Demo, case: str, screenshots: Path) -> None:
    with at_work(browser, demo, "reviewer") as page:
        tried = page.locator("#tried")
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while time.monotonic() < deadline:  # decisions are recorded in batches, a moment later
            page.goto(case)
            expect(tried).to_contain_text("attempts in 30 days")
            if "1 let through" in tried.inner_text():
                break
        expect(tried).to_contain_text("1 let through")
        page.screenshot(path=screenshots / "kyc-approved.png", full_page=True)


def what_was_not_declared_opens_the_case_again(browser: Browser, demo: Demo, key: str, screenshots: Path) -> None:
    status, refused = call_as_the_subject(demo, key, UNDECLARED)
    assert (status, refused["code"]) == (403, "challenge_kyc")
    with at_work(browser, demo, "reviewer") as page:
        deadline = time.monotonic() + PATIENCE_MS / 1000
        opened: list[Any] = []
        while not opened and time.monotonic() < deadline:
            page.wait_for_timeout(500)
            opened = demo.api(f"kyc-records/?subject={REFERENCE}&state=submitted")["results"]
        page.goto(f"{QUEUE}{opened[0]['id']}/change/")
        expect(page.get_by_label("In short")).to_contain_text("Tried what was not declared: phone calls to Canada.")
        page.screenshot(path=screenshots / "kyc-left-declared-use.png", full_page=True)


def test_a_key_alone_decides_nothing(browser: Browser, demo: Demo) -> None:
    with at_work(browser, demo, "reviewer") as page:
        page.get_by_role("button", name="Claim next").click()
        expect(page.get_by_label("In short")).to_contain_text("You are working on this case.")
        where = page.url
        for pressed in "armhst0+-?":
            page.keyboard.press(pressed)
            if pressed == "?":
                expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
            page.keyboard.press("Escape")
        page.reload()
        assert page.url == where
        expect(page.get_by_label("In short")).to_contain_text("You are working on this case.")
        page.get_by_role("button", name="Put back").click()
        expect(page.get_by_label("In short")).to_contain_text("Waits for a reviewer.")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_queue_and_every_kind_of_case_fit_the_screen(
    browser: Browser, demo: Demo, screenshots: Path, width: int, scheme: str
) -> None:
    states: dict[str, int] = {}
    for record in demo.api("kyc-records/")["results"]:
        states.setdefault(record["state"], record["id"])
    pages = {"queue": QUEUE, "subject": f"{QUEUE}?view=subject", "none": f"{QUEUE}?q=nobody-like-that"}
    pages |= {state: f"{QUEUE}{pk}/change/" for state, pk in states.items()}
    with at_work(browser, demo, "second.reviewer", width=width, scheme=scheme) as page:
        for name, path in pages.items():
            answer = page.goto(path)
            assert answer is not None
            assert answer.status == 200, path
            page.wait_for_load_state("networkidle")
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            page.screenshot(path=screenshots / f"kyc-{name}-{width}-{scheme}.png", full_page=True)
            assert overflow <= 1, f"{path} scrolls sideways at {width} px"
            nameless = page.evaluate(NAMELESS)
            assert nameless == [], f"{path} has controls without a name"


NAMELESS = """() => [...document.querySelectorAll('.fc-page :is(button, a, input, select, textarea, img, summary)')]
  .filter((element) => {
    if (element.type === 'hidden') return false;
    const label = element.getAttribute('aria-label') || element.getAttribute('alt') || element.textContent.trim();
    return !(label || (element.labels && element.labels.length));
  }).map((element) => element.outerHTML)"""
