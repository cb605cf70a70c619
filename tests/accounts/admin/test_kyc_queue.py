"""The queue: who is due first, what each line says, taking the next one, and what it costs."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.kyc import review
from accounts.models import KycRecord, Subject
from accounts.roles import Role
from tests.accounts.kyc import cases
from tests.factories import make_member
from tests.signing_in import messages_of, signed_in

QUEUE = "admin:accounts_kycrecord_changelist"
NEXT = "admin:accounts_kycrecord_next"
ASSIGN = "admin:accounts_kycrecord_assign"


@pytest.fixture
def reviewer(in_workspace):
    return signed_in(in_workspace, Role.KYC_REVIEWER)


def named(name):
    return {"subject": {"name": name}}


def html_of(client, **query):
    return client.get(reverse(QUEUE), query).content.decode()


def lines_of(client, **query):
    """The names in the queue, from top to bottom."""
    return [line.name for line in client.get(reverse(QUEUE), query).context["page"].lines]


def test_what_is_due_first_stands_first_and_the_decided_is_left_out(reviewer, in_workspace, now):
    cases.submitted(in_workspace, now - timedelta(hours=5), **named("Younger"))
    cases.submitted(in_workspace, now - timedelta(days=3), **named("Older"))
    cases.draft(in_workspace, now, **named("Draft"))
    cases.approved(in_workspace, now, **named("Approved"))

    html = html_of(reviewer)

    assert lines_of(reviewer) == ["Older", "Younger"]
    assert "2 days overdue" in html
    assert "Due in 18 h" in html or "Due in 19 h" in html
    assert "2 wait for a decision, 1 of them overdue." in html


def test_the_clock_is_shown_as_paused_while_the_subject_is_asked(reviewer, in_workspace, now):
    case = cases.in_review(in_workspace, now - timedelta(hours=3), **named("Asked"))
    review.request_information(
        record=case.record,
        reason_codes=["document_missing"],
        text_for_subject="Send the back as well.",
        acting_user=case.reviewer,
        now=now - timedelta(minutes=30),
    )

    html = html_of(reviewer, view="subject")

    assert "Paused after 2 h: waiting for the subject" in html
    assert "Asked for: document is missing" in html
    assert lines_of(reviewer) == []


def test_a_line_says_why_it_is_here_and_who_has_it(reviewer, in_workspace, now):
    case = cases.in_review(in_workspace, now, level=3, **named("Held"))
    cases.approve(case, now)
    other = cases.in_review(in_workspace, now, **named("Other"))

    by_name = {line.name: line for line in reviewer.get(reverse(QUEUE)).context["page"].lines}

    assert by_name["Held"].why == f"{case.reviewer} proposes to approve it: a second reviewer decides"
    assert (by_name["Other"].holder, by_name["Other"].is_mine) == (str(other.reviewer), False)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"view": "overdue"}, ["Late"]),
        ({"view": "mine"}, ["Mine"]),
        ({"view": "second"}, ["Proposed"]),
        ({"level": "3"}, ["Proposed"]),
        ({"state": "in_review"}, ["Mine"]),
        ({"q": "late"}, ["Late"]),
        ({"q": "415 555 0177"}, ["Late"]),
        ({"view": "all", "q": "nobody"}, []),
        ({"subject": "x' OR 1=1"}, []),
        ({"page": "99999999999999999999"}, ["Late", "Mine", "Proposed"]),
        ({"view": "made up", "state": "made up"}, ["Proposed", "Mine", "Late"]),
    ],
)
def test_filters_leave_what_they_say(in_workspace, now, query, expected):
    cases.submitted(
        in_workspace, now - timedelta(days=4), subject={"name": "Late", "phone": "+14155550177", "reference": "1"}
    )
    mine = cases.in_review(in_workspace, now, **named("Mine"))
    proposed = cases.in_review(in_workspace, now, level=3, **named("Proposed"))
    cases.approve(proposed, now + timedelta(days=2))
    client = signed_in(in_workspace, Role.KYC_REVIEWER)
    client.force_login(mine.reviewer)

    assert lines_of(client, **query) == expected


def test_claim_next_opens_the_one_most_due(reviewer, in_workspace, now):
    cases.submitted(in_workspace, now, **named("Younger"))
    older = cases.submitted(in_workspace, now - timedelta(days=1), **named("Older"))

    response = reviewer.post(reverse(NEXT))

    assert response.url == reverse("admin:accounts_kycrecord_change", args=[older.pk])
    older.refresh_from_db()
    assert older.state == "in_review"


def test_claim_next_says_when_nothing_is_left(reviewer, in_workspace, now):
    cases.in_review(in_workspace, now)

    response = reviewer.post(reverse(NEXT))

    assert response.url == reverse(QUEUE)
    assert "Nothing waits that you may take" in messages_of(response)
    assert reviewer.get(reverse(NEXT)).status_code == 403


def test_ticked_cases_are_assigned_to_a_colleague(reviewer, in_workspace, now):
    colleague = make_member(in_workspace, Role.KYC_REVIEWER)
    rows = [cases.submitted(in_workspace, now) for _ in range(3)]
    held = cases.in_review(in_workspace, now).record

    response = reviewer.post(
        reverse(ASSIGN), {"record": [rows[0].pk, rows[1].pk, held.pk], "to": colleague.pk, "back": "view=all"}
    )

    assert "to take 2 of 3" in messages_of(response)
    assert response.url == f"{reverse(QUEUE)}?view=all"
    assigned = KycRecord.objects.filter(assigned_to=f"user:{colleague.pk}")
    assert set(assigned.values_list("pk", flat=True)) == {rows[0].pk, rows[1].pk}


@pytest.mark.parametrize("form", [{"to": "1"}, {"record": "1"}, {"record": "1", "to": "999999"}, {"record": "x' --"}])
def test_an_assignment_that_makes_no_sense_changes_nothing(reviewer, in_workspace, now, form):
    cases.submitted(in_workspace, now)

    response = reviewer.post(reverse(ASSIGN), form)

    assert response.status_code == 302
    assert messages_of(response)
    assert KycRecord.objects.get().assigned_to == ""


def fill(workspace, count, now):
    """So many records in the queue, without the verbs, which would take minutes for that."""
    people = Subject.objects.bulk_create(
        Subject(workspace=workspace, reference=f"filled-{count}-{n}", name=f"Person {n}") for n in range(count)
    )
    drafts = KycRecord.objects.bulk_create(
        KycRecord(
            workspace=workspace,
            subject=person,
            level=1 + n % 3,
            submitted_at=now - timedelta(minutes=n),
            clock_since=now - timedelta(minutes=n),
            due_at=now + timedelta(hours=24, minutes=-n),
            submitted_by="console",
        )
        for n, person in enumerate(people)
    )
    cases.put_where(drafts, "submitted")


def test_the_queue_costs_the_same_queries_however_many_records_there_are(reviewer, in_workspace, now):
    counted = []
    for size in (60, 1200):
        fill(in_workspace, size, now)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert reviewer.get(reverse(QUEUE)).status_code == 200
        counted.append(len(queries))

    assert counted[0] == counted[1]
    assert counted[0] <= 20
    # No count goes further than a thousand: that is what would grow with the records.
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert all("LIMIT 1001" in sql for sql in counts)


def test_pages_follow_one_another(reviewer, in_workspace, now):
    fill(in_workspace, 60, now)

    first = reviewer.get(reverse(QUEUE)).context["page"]
    second = reviewer.get(first.next_href).context["page"]

    assert (len(first.lines), len(second.lines)) == (50, 10)
    assert (first.previous_href, second.next_href) == ("", "")
    assert not {line.pk for line in first.lines} & {line.pk for line in second.lines}
