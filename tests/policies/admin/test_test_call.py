"""The page that tries an attempt out: the gate's own verdict on it, and no trace left behind."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import keys
from accounts.models import AuditEntry
from accounts.roles import Role
from accounts.scoping import scoped
from policies import actions
from policies.gate import rebuild, store
from policies.models import Decision
from tests import factories
from tests.accounts.kyc import cases
from tests.monitoring.dashboards.rows import NOW, make_decision
from tests.policies.gate.charges import charge, spend
from tests.signing_in import signed_in

PAGE = "admin:policies_decision_test_call"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def number(in_workspace):
    return factories.make_phone_number(in_workspace)


@pytest.fixture
def viewer(in_workspace):
    return signed_in(in_workspace, Role.VIEWER)


def words_of(answer) -> str:
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())).split())


def tried(client, peer: str, **more: str) -> str:
    return words_of(client.get(reverse(PAGE), {"peer": peer, "number": "+14155550100", **more}))


def test_it_asks_for_a_number_first_and_offers_ours(viewer, number):
    answer = viewer.get(reverse(PAGE))

    assert "Who calls?" in words_of(answer)
    assert 'value="+14155550100"' in answer.content.decode()
    assert answer.context["page"].judgement is None


def test_it_says_verdict_sentence_checks_and_what_would_let_it_through(viewer, number):
    said = tried(viewer, "+44 20 7946 0018")

    assert "Blocked: United Kingdom (+44) is not among the countries that may call this number." in said
    assert "It would pass if United Kingdom were open on this policy." in said
    assert "Country : failed Its country is not on this number's list GB against CA US" in said
    assert "fixed line" in said


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"peer": "+12125550123"}, "Allowed."),
        ({"peer": "+5352345678"}, "Cuba is on the platform sanctions list"),
        ({"peer": "anonymous"}, "the number is withheld"),
        ({"peer": ""}, "the number is withheld"),
        ({"peer": "+19005550123", "direction": "outbound"}, "calls to premium-rate numbers are restricted"),
        ({"peer": "+12125550123", "number": "+14155550199"}, "does not belong to this workspace"),
        ({"peer": "+12125550123", "number": "+1 (415) 555-0100"}, "Allowed."),
        ({"peer": "", "channel": "web_call", "direction": "outbound"}, "Allowed."),
        ({"peer": "+12125550123", "direction": "sideways", "channel": "smoke"}, "Allowed."),
    ],
)
def test_it_judges_what_is_typed_as_the_gate_would(viewer, number, typed, sentence):
    assert sentence in words_of(viewer.get(reverse(PAGE), {"number": "+14155550100"} | typed))


def test_a_public_key_counts_as_one(viewer, number):
    toll_free = {"peer": "+18005550123", "direction": "outbound"}

    assert "Allowed." in tried(viewer, **toll_free)
    assert "kind of number blocked" in tried(viewer, **toll_free, public_key="pk_1")


@pytest.mark.parametrize(
    "field", ["peer", "number", "ip", "public_key", "origin", "subject", "direction", "channel", "recorded"]
)
@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000,
        "+" * 10_000,
        "\x00\x01\x1b[31m\r\n\u2028",
        "<script>alert(1)</script>",
        "٠١٢🙂",
        "' OR 1=1 --",
        "%00",
    ],
)
def test_whatever_is_typed_never_gives_an_error_page(viewer, number, field, text):
    parameters = {"peer": "+12125550123", "number": "+14155550100"} | {field: text}

    for headers in ({}, HTMX):
        answer = viewer.get(reverse(PAGE), parameters, headers=headers)
        assert answer.status_code == 200
        assert answer.context["page"].judgement.verdict in ("allow", "block")
        assert b"<script>alert" not in answer.content


def test_broken_utf_8_is_judged_too(viewer, number):
    assert viewer.get(reverse(PAGE) + "?peer=%ff%fe%c3&number=%80").status_code == 200


def test_what_is_no_ip_address_is_said_in_words(viewer, number):
    assert "is not one, such as 203.0.113.7" in tried(viewer, "+12125550123", ip="203.0.113.777")
    assert "is not one, such as" not in tried(viewer, "+12125550123", ip="2001:db8::7")


def test_it_records_nothing_and_counts_nothing(viewer, number):
    audited = AuditEntry.objects.count()

    with CaptureQueriesContext(connection) as queries:
        tried(viewer, "+442079460018")

    assert not [query["sql"] for query in queries if re.match("INSERT|UPDATE|DELETE", query["sql"])]
    assert Decision.objects.count() == 0
    assert AuditEntry.objects.count() == audited
    assert store.connection().keys("*") == []


def test_while_one_types_only_the_answer_comes_and_is_read_out(viewer, number):
    answer = viewer.get(reverse(PAGE), {"peer": "+442079460018", "number": "+14155550100"}, headers=HTMX)
    html = answer.content.decode()

    assert "<html" not in html
    assert re.search(r'id="test-said"[^>]*hx-swap-oob="innerHTML"[^>]*>\s*Blocked: United Kingdom', html)


def test_going_back_in_the_browser_gets_the_whole_page(viewer, number):
    headers = HTMX | {"HX-History-Restore-Request": "true"}

    assert "<html" in viewer.get(reverse(PAGE), {"peer": "x"}, headers=headers).content.decode()


def test_each_example_shows_what_it_promises(viewer, number):
    examples = {example.title: example.href for example in viewer.get(reverse(PAGE)).context["page"].examples}

    reasons = {title: viewer.get(href).context["page"].judgement.reason for title, href in examples.items()}

    assert reasons == {
        "A sanctioned caller": "sanctioned_country",
        "A closed country": "country_not_allowed",
        "A withheld number": "withheld_number",
        "A caller from our own country": "",
        "Calling a premium number": "number_class_blocked",
    }


def test_a_number_that_everybody_may_call_has_no_example_of_a_closed_country(viewer, in_workspace):
    factories.make_phone_number(in_workspace, inbound=None)

    titles = [example.title for example in viewer.get(reverse(PAGE)).context["page"].examples]

    assert "A sanctioned caller" in titles
    assert "A closed country" not in titles


def test_it_opens_without_any_phone_number(viewer):
    assert "does not belong to this workspace" in words_of(viewer.get(reverse(PAGE), {"peer": "+12125550123"}))


def test_the_policies_of_another_workspace_judge_nothing_here(viewer, number, db):
    other = factories.make_workspace()
    theirs = factories.make_phone_number(other, "+14155550155", inbound=["GB"])
    with scoped(other.pk):
        recorded = make_decision(theirs, "+442079460018", NOW)
    attempt = {"peer": "+442079460018", "number": "+14155550155", "recorded": str(recorded.decision_id)}

    answer = viewer.get(reverse(PAGE), attempt)

    assert "does not belong to this workspace" in words_of(answer)
    assert answer.context["page"].recorded is None
    assert "+14155550155" not in [e164 for e164, _nickname in answer.context["own_numbers"]]


@pytest.mark.parametrize("role", list(Role))
def test_every_role_that_sees_decisions_may_test_and_finds_it_in_the_side_bar(in_workspace, number, role):
    html = signed_in(in_workspace, role).get(reverse(PAGE)).content.decode()

    side = html.split('id="nav-sidebar-apps"')[1].split('id="main"')[0]
    marked = [part.split("</a>")[0] for part in side.split(' active">')[1:]]
    assert len(marked) == 1
    assert "Test a call" in marked[0]


def test_strangers_are_kept_out(client, number):
    assert client.get(reverse(PAGE)).status_code == 302
    client.force_login(factories.make_user())
    assert client.get(reverse(PAGE)).status_code in (302, 403)


def test_a_decision_is_tested_again_and_what_changed_since_is_said(viewer, number):
    decision = make_decision(number, "+442079460018", NOW)
    page = viewer.get(reverse("admin:policies_decision_change", args=[decision.pk]))
    assert "Test this call again with today's policy" in words_of(page)
    again = page.context["page"].test_href

    assert "Today's verdict is the recorded one." in words_of(viewer.get(again))

    actions.edit_phone_number(
        phone_number=number, inbound_countries=["GB"], acting_user=None, now=factories.moment(), reason="opened"
    )
    said = words_of(viewer.get(again))
    assert "Today's verdict differs from the recorded one." in said
    assert "it was: Blocked: United Kingdom (+44) is not among the countries" in said
    assert "Allowed." in said


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
@pytest.mark.parametrize(
    "peer", [None, "anonymous", "tel:+442079460018", "+5352345678", "sip:bob@example.com", "x" * 90]
)
def test_nothing_changed_means_no_difference_whatever_was_given(viewer, number, direction, peer):
    decision = make_decision(number, peer, NOW, direction=direction)
    href = viewer.get(reverse("admin:policies_decision_change", args=[decision.pk])).context["page"].test_href

    recorded = viewer.get(href).context["page"].recorded

    assert recorded.decision == decision
    assert not recorded.differs


def test_another_attempt_is_not_compared_with_the_recorded_one(viewer, number):
    decision = make_decision(number, "+442079460018", NOW)

    answer = viewer.get(reverse(PAGE), {"peer": "+33612345678", "recorded": str(decision.decision_id)})

    assert answer.context["page"].recorded is None


# --- With a gate key --------------------------------------------------------------------------------


@pytest.fixture
def key(in_workspace, number):
    return keys.mint_public_key(
        workspace=in_workspace,
        name="Contact form",
        domains=["www.example.com"],
        channels=["phone_call"],
        phone_number="+14155550100",
        limits={"ip": {"limit": 2, "window": 600}},
        kyc_level=1,
        acting_user=None,
        now=factories.moment(),
    )


def with_key(key, **more):
    typed = {"direction": "outbound", "public_key": key.key, "origin": "https://www.example.com", "subject": "u_1"}
    return typed | {"ip": "192.0.2.1"} | more


@pytest.fixture
def approved(in_workspace):
    cases.quickly_approved("u_1", factories.moment())


def test_it_offers_the_gate_keys_that_work(viewer, key, in_workspace):
    revoked = keys.mint_public_key(
        workspace=in_workspace,
        name="Old form",
        domains=["www.example.com"],
        channels=["chat"],
        agent="agent_1",
        acting_user=None,
        now=factories.moment(),
    )
    keys.revoke_public_key(public_key=revoked, acting_user=None, now=factories.moment(), reason="gone")

    offered = viewer.get(reverse(PAGE)).context["gate_keys"]
    assert offered == {key.key: "Contact form"}
    answer = viewer.get(reverse(PAGE), {"peer": "+12125550123", "public_key": revoked.key})
    assert re.search(rf'<option value="{revoked.key}" selected>', answer.content.decode())


def test_a_key_is_judged_with_its_web_page_and_end_user(viewer, key, approved):
    assert "Allowed." in tried(viewer, "+12125550123", **with_key(key))
    assert "the web page is not among" in tried(viewer, "+12125550123", **with_key(key, origin="https://evil.example"))
    said = tried(viewer, "+12125550123", **with_key(key, subject="u_2"))
    assert "identity must be confirmed first" in said
    assert "End user u_2" in said
    assert "Web page https://www.example.com" in said


def test_it_shows_what_is_counted_and_counts_nothing(viewer, key, approved, in_workspace):
    rebuild.rebuild(in_workspace.pk, now=factories.moment())

    def said():
        return tried(viewer, "+12125550123", **with_key(key))

    assert said() == said()
    assert "Attempts from one IP address 0 of 2 in 10 minutes" in said()
    assert "Running calls with one public key 0 of 5 at once" in said()
    assert re.search(
        r"Money spent with one public key \$0\.00 of \$25 in 1 day this attempt would reserve \$0\.\d\d", said()
    )

    limit = charge(key="192.0.2.1", limit=2)
    for _ in range(2):
        spend(in_workspace, limit)
    assert "Attempts from one IP address 2 of 2 in 10 minutes full room again in " in said()
    assert "Blocked: there were too many attempts" in said()


def test_it_shows_no_counts_where_none_were_looked_at(viewer, key):
    assert viewer.get(reverse(PAGE), {"peer": "+5352345678", "number": "+14155550100"}).context["page"].counts == ()


@pytest.mark.parametrize("origin", ["https://www.example.com", "x" * 255])
def test_a_decision_with_all_that_a_page_told_is_the_same_attempt_again(viewer, number, origin):
    decision = make_decision(number, "+442079460018", NOW, direction="outbound")
    Decision.objects.filter(pk=decision.pk).update(origin=origin, subject="u" * 120, public_key="p" * 120)
    href = viewer.get(reverse("admin:policies_decision_change", args=[decision.pk])).context["page"].test_href

    assert viewer.get(href).context["page"].recorded.decision == decision


def test_an_example_fills_in_a_gate_key_with_its_number_and_web_site(viewer, in_workspace, number):
    key = keys.mint_public_key(
        workspace=in_workspace,
        name="Contact form",
        domains=["www.example.com"],
        channels=["phone_call"],
        phone_number="+14155550100",
        acting_user=None,
        now=factories.moment(),
    )
    examples = {example.title: example.href for example in viewer.get(reverse(PAGE)).context["page"].examples}

    page = viewer.get(examples["A call with a gate key"]).context["page"]

    assert (page.judgement.verdict, page.typed.public_key) == ("allow", key.key)
