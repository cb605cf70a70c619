"""Documents on the page of a case: who sees them, for how long, and what is typed in from them."""

import random

import pytest
from django.urls import reverse

from accounts import roles
from accounts.kyc import documents
from accounts.models import AuditEntry
from accounts.roles import Role
from tests.accounts.admin.kyc_pages import (
    PREFIX,
    address,
    as_user,
    case,
    page_of,
    reviewer,
    text_of,
    verbs_on,
)
from tests.accounts.kyc import cases, hostile
from tests.factories import make_member
from tests.signing_in import messages_of, signed_in

__all__ = ["case", "reviewer"]


SPECIMEN = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"


@pytest.fixture
def passport(case, now, settings, tmp_path):
    settings.DOCUMENTS_DIR = str(tmp_path)
    content = hostile.saved(hostile.picture(random.Random(7)), "PNG")
    return documents.accept(
        record=case.record, content=content, name="passport.png", kind="passport", acting_user=None, now=now
    )


def document_address(name, record, document, *more):
    return reverse(PREFIX + name, args=[record.pk, document.pk, *more])


def test_a_page_of_a_document_is_looked_at_by_an_address_of_one_minute(case, reviewer, passport, in_workspace):
    where = document_address("document_page", case.record, passport, 1)
    assert where in page_of(reviewer, case.record).content.decode()

    sent = reviewer.get(where)
    image = reviewer.get(sent.url)

    assert sent.status_code == 302
    assert "no-store" in sent["Cache-Control"]
    assert sent.url.startswith("/admin/kyc/documents/")
    assert (image.status_code, image["Content-Type"]) == (200, "image/jpeg")
    assert AuditEntry.objects.filter(action="kyc_document.view").count() == 1
    other = signed_in(in_workspace, Role.KYC_REVIEWER)
    assert other.get(sent.url).status_code == 403
    assert reviewer.get(document_address("document_page", case.record, passport, 2)).status_code == 404


def test_a_document_is_opened_by_its_own_record_alone(case, reviewer, passport, in_workspace, now):
    another = cases.submitted(in_workspace, now)

    assert reviewer.get(document_address("document_page", another, passport, 1)).status_code == 404
    assert (
        signed_in(in_workspace, Role.VIEWER)
        .get(document_address("document_page", case.record, passport, 1))
        .status_code
        == 403
    )


def test_a_document_that_came_after_the_page_was_shown_stops_the_decision(case, reviewer, now, settings, tmp_path):
    settings.DOCUMENTS_DIR = str(tmp_path)
    seen = page_of(reviewer, case.record).context
    content = hostile.saved(hostile.picture(random.Random(8)), "PNG")
    documents.accept(record=case.record, content=content, name="p.png", kind="passport", acting_user=None, now=now)
    form = {"verb": "approve", "seen_evidence": seen["seen_evidence"], "seen_pieces": seen["seen_pieces"]}

    assert "The passport was added." in text_of(reviewer.post(address("decide", case.record), form))


def test_typed_lines_are_compared_and_said_to_fit_or_not(case, reviewer, passport):
    where = document_address("document_lines", case.record, passport)
    assert "machine-readable lines are right" not in text_of(page_of(reviewer, case.record))

    reviewer.post(where, {"lines": SPECIMEN})
    right = text_of(page_of(reviewer, case.record))
    reviewer.post(where, {"lines": SPECIMEN.replace("L898902C36", "L898902C37")})
    wrong = text_of(page_of(reviewer, case.record))
    wordless = reviewer.post(where, {"lines": " "})

    assert "The check digits of its machine-readable lines are right." in right
    assert "Its machine-readable lines do not fit, as they were typed in." in wrong
    assert "Type the lines first" in messages_of(wordless)


def test_who_reads_cases_without_deciding_sees_no_documents_and_no_numbers(
    case, client, in_workspace, passport, now, monkeypatch
):
    """No role is like that now; the page must hold when one is."""
    reads = {"accounts.view_kycrecord", "accounts.view_subject"}
    monkeypatch.setitem(roles.PERMISSIONS, Role.ANALYST, roles.PERMISSIONS[Role.ANALYST] | reads)
    documents.read_lines(document=passport, text=SPECIMEN, acting_user=case.reviewer, now=now)
    as_user(client, make_member(in_workspace, Role.ANALYST))

    page = page_of(client, case.record)

    where = document_address("document_page", case.record, passport, 1)
    assert where not in page.content.decode()
    assert "Your role does not see documents." in text_of(page)
    assert "02C3" in text_of(page)
    assert "L898902C3" not in text_of(page)
    assert verbs_on(page) == []
    assert client.get(where).status_code == 403
    assert client.post(document_address("document_lines", case.record, passport), {"lines": "x"}).status_code == 403
