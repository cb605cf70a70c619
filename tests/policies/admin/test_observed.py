"""What is merely observed: the page of a decision says it, lists find it, and nothing takes it for blocked."""

import re
from html import unescape

import pytest
from django.urls import reverse

from accounts.roles import Role
from policies.models import Decision
from tests.factories import make_phone_number
from tests.monitoring.dashboards.rows import NOW, list_blocked, make_decision
from tests.rest import client_of
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db

LIST = reverse("admin:policies_decision_changelist")


@pytest.fixture
def number(in_workspace):
    return make_phone_number(in_workspace)


def observe(decision):
    """As the gate records it where the number is observing: what failed is marked, and nothing is turned away."""
    trace = [line | {"observed": True} if line["outcome"] == "fail" else line for line in decision.trace]
    facts = {"verdict": "allow", "reason": "", "reasons": [], "trace": trace}
    facts |= {"would_be": decision.verdict, "would_be_reason": decision.reason}
    Decision.objects.filter(pk=decision.pk).update(**facts)
    decision.refresh_from_db()
    return decision


def text_of(client, page, **parameters):
    answer = client.get(page, parameters)
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())).split())


def test_the_page_of_a_decision_says_what_it_would_have_been_and_which_checks_were_observed(in_workspace, number):
    decision = observe(make_decision(number, "+442079460018", NOW))

    said = text_of(signed_in(in_workspace, Role.VIEWER), reverse("admin:policies_decision_change", args=[decision.pk]))

    expected = "United Kingdom (+44) is not among the countries that may call this number."
    assert f"Allowed. Observed only: it would have been blocked because {expected}" in said
    assert "Country : failed, only observed Its country is not on this number's list observed" in said
    assert "Sanctions : passed" in said
    assert "It would also have failed for" not in said


def test_the_list_keeps_the_verdict_and_tells_what_was_observed(in_workspace, number):
    observe(make_decision(number, "+442079460018", NOW))
    make_decision(number, "+33612345678", NOW)
    client = signed_in(in_workspace, Role.VIEWER)

    assert "Observed only: country not allowed" in text_of(client, LIST)
    for parameters, expected in (
        ({"would_be__exact": "block"}, ["+442079460018"]),
        ({"would_be__exact": "challenge"}, []),
        ({"verdict__exact": "block"}, ["+33612345678"]),
    ):
        rows = client.get(LIST, parameters).context["cl"].result_list
        assert [row.peer for row in rows] == expected


def test_rest_filters_by_it_and_shows_it_as_the_preview_does(workspace):
    number = make_phone_number(workspace)
    from accounts.scoping import scoped

    with scoped(workspace.pk):
        observe(make_decision(number, "+442079460018", NOW))
        make_decision(number, "+33612345678", NOW)
    client = client_of(workspace)

    (found,) = client.get("/api/v1/decisions/?would_be=block").json()["results"]
    assert (found["peer"]["e164"], found["verdict"], found["reason"]) == ("+442079460018", "allow", None)
    assert found["would_be"] == {"verdict": "block", "reason": "country_not_allowed"}
    assert {line["check"] for line in found["trace"] if line.get("observed")} == {"country"}
    assert client.get("/api/v1/decisions/?would_be=guard").json()["results"] == []
    assert client.get("/api/v1/decisions/?would_be=allow").status_code == 422
    list_blocked(workspace.pk, NOW)
    (blocked,) = client.get("/api/v1/blocked-calls/").json()["results"]
    assert blocked["peer"]["e164"] == "+33612345678"
    assert "would_be" not in blocked
