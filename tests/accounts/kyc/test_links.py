"""A subject hands in documents by a link: without an account, once, and without learning anything else."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.kyc import claims, links, review, storage
from accounts.kyc.transitions import Conflict
from accounts.models import AuditEntry, KycDocument, UploadLink
from accounts.scoping import scoped
from tests import factories
from tests.accounts.kyc import cases, hostile

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_storage(settings, tmp_path):
    settings.DOCUMENTS_DIR = str(tmp_path / "documents")
    cache.clear()


@pytest.fixture
def record(workspace, now):
    with scoped(workspace.pk):
        return cases.draft(workspace, now, level=2)


def made(record, now, **facts):
    link, token = links.create_link(record=record, acting_user=None, now=now, **facts)
    return link, reverse("kyc_upload", args=[token])


def photo(name="passport.jpg", seed=1, content=b""):
    body = content or hostile.saved(hostile.picture(random.Random(seed), 320, 200), "JPEG")
    return SimpleUploadedFile(name, body, content_type="image/jpeg")


def kinds(record):
    with scoped(record.workspace_id):
        return sorted(KycDocument.objects.filter(record=record).values_list("kind", flat=True))


def test_the_page_says_who_asks_for_what(client, record, now):
    _, where = made(record, now, text_for_subject="Please include\nthe back.")

    page = client.get(where)

    assert page.status_code == 200
    text = page.content.decode()
    assert record.workspace.name in text
    assert "Passport, identity card or driving licence" in text
    assert "A photo of yourself" in text
    assert "Please include<br>the back." in text
    assert "A letter with your address" not in text
    assert record.subject.name not in text  # whoever finds the link learns nothing of the person
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "no-store" in page.headers["Cache-Control"]
    assert "<script>" not in text
    assert "Set-Cookie" not in page.headers


def test_all_that_is_asked_for_at_once_hands_the_record_in(client, record, now):
    link, where = made(record, now)

    page = client.post(
        where, {"identity": [photo(), photo("back.jpg", 2)], "identity_kind": "passport", "selfie": photo("me.jpg", 3)}
    )

    assert page.status_code == 200
    assert "Thank you" in page.content.decode()
    record.refresh_from_db()
    assert record.state == "submitted"
    assert record.submitted_by == f"subject:{record.subject_id}"
    assert kinds(record) == ["passport", "passport", "selfie"]
    assert client.get(where).status_code == 404  # it has done its work
    with scoped(record.workspace_id):
        assert UploadLink.objects.get(pk=link.pk).used_at is not None
        actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"upload_link.create", "upload_link.hand_in", "kyc_document.add", "kyc_record.submit"} <= actions


def test_files_may_come_one_by_one(client, record, now):
    _, where = made(record, now)

    page = client.post(where, {"identity": photo(), "identity_kind": "passport"}).content.decode()

    assert "1 file arrived" in page
    assert "passport.jpg" in page
    record.refresh_from_db()
    assert record.state == "draft"
    assert "Thank you" in client.post(where, {"selfie": photo("me.jpg", 2)}).content.decode()


def test_a_file_that_is_not_taken_is_named_and_the_others_are_kept(client, record, now):
    _, where = made(record, now)

    page = client.post(
        where,
        {
            "identity": [photo(), photo("letter.jpg", content=hostile.HTML)],
            "identity_kind": "passport",
            "selfie": photo("me.jpg", 2),
        },
    )

    assert page.status_code == 422
    text = page.content.decode()
    assert "letter.jpg was not taken: it is not a PNG, JPEG or PDF" in text
    assert "Not everything was taken" in text
    assert kinds(record) == ["passport", "selfie"]
    record.refresh_from_db()
    assert record.state == "draft"
    assert "Press Send to finish" in text
    assert "Thank you" in client.post(where, {}).content.decode()
    record.refresh_from_db()
    assert record.state == "submitted"


@pytest.mark.parametrize(
    ("data", "status", "says"),
    [
        ({}, 422, "No file was chosen"),
        ({"selfie": [b"x"] * 13}, 422, "13 files were sent at once"),
        ({"selfie": [bytes(11 * 1024 * 1024)]}, 422, "larger than 10 MB"),
        ({"other": [b""]}, 422, "empty"),
        ({"selfie": [hostile.TEST_VIRUS]}, 422, "virus"),
    ],
)
def test_what_cannot_be_taken_is_said_in_words(client, record, now, data, status, says):
    _, where = made(record, now)
    files = {
        name: [
            photo(f"f{at}.jpg", content=body) if body else SimpleUploadedFile("f.jpg", b"")
            for at, body in enumerate(bodies)
        ]
        for name, bodies in data.items()
    }

    page = client.post(where, files)

    assert page.status_code == status
    assert says in page.content.decode()
    assert kinds(record) == []


def test_a_body_that_is_too_large_is_not_read(client, record, now):
    _, where = made(record, now)

    page = client.post(
        where, b"x", content_type="multipart/form-data; boundary=a", headers={"Content-Length": str(10**9)}
    )

    assert page.status_code == 413
    assert "more than 64 MB" in page.content.decode()


def test_a_link_that_ended_looks_like_one_that_never_was(client, workspace, record, now):
    never = client.get(reverse("kyc_upload", args=["x" * 43]))
    assert never.status_code == 404
    ended, revoked = made(record, now - timedelta(days=8))[1], made(record, now)
    links.revoke_link(link=revoked[0], acting_user=None, now=now)
    other = made(record, now)[1]
    for where in (ended, revoked[1]):
        _looks_like(client, where, never)
    with scoped(workspace.pk):
        review.withdraw(record=record, acting_user=None, now=now)
    _looks_like(client, other, never)
    assert kinds(record) == []


def _looks_like(client, where, never):
    for answer in (client.get(where), client.post(where, {"selfie": photo()})):
        assert (answer.status_code, answer.content) == (404, never.content)
        assert dict(answer.headers) == dict(never.headers)


def test_a_link_is_used_once_even_when_more_is_asked_for(client, workspace, now):
    with scoped(workspace.pk):
        record = cases.draft(workspace, now, level=1)
    _, where = made(record, now)
    client.post(where, {"identity": photo(), "identity_kind": "passport"})
    with scoped(workspace.pk):
        record.refresh_from_db()
        case = cases.Case(record, cases.reviewer(workspace), cases.second_reviewer(workspace))
        cases.claim(case, now)
        review.request_information(
            record=case.record,
            reason_codes=["document_missing"],
            text_for_subject="One more, please.",
            acting_user=case.reviewer,
            now=now,
        )

    assert client.get(where).status_code == 404


def test_of_two_who_use_a_link_at_once_only_one_leaves_files(workspace, now):
    with scoped(workspace.pk):
        record = cases.draft(workspace, now, level=1)
    token = links.create_link(record=record, acting_user=None, now=now)[1]
    first, second = (links.find(token, now=now) for _ in range(2))
    sent = [links.Sent(f"{seed}.jpg", "passport", photo(seed=seed).read()) for seed in (1, 2, 3)]

    class Interrupted(list):
        """Between its two files, somebody else's request is done with."""

        def __iter__(self):
            yield sent[1]
            assert links.take_files(link=first, files=sent[:1], now=now).handed_in
            yield sent[2]

    with pytest.raises(links.NoSuchLink):
        links.take_files(link=second, files=Interrupted(), now=now)

    with scoped(workspace.pk):
        (kept,) = KycDocument.objects.all()
    assert kept.name == "1.jpg"
    assert sorted(storage.names()) == sorted([kept.sealed_file, kept.clean_file])


def test_only_the_hash_of_a_token_is_kept(record, now):
    link, token = links.create_link(record=record, acting_user=None, now=now)

    assert len(token) >= 43
    with scoped(record.workspace_id):
        row = UploadLink.objects.values().get(pk=link.pk)
        told = str(list(AuditEntry.objects.values_list("detail", flat=True)))
    assert token not in str(row)
    assert token not in told


def test_what_a_link_may_cost_has_an_end(client, record, now, monkeypatch):
    monkeypatch.setattr(links, "MOST_UPLOADS", 2)
    _, where = made(record, now)

    page = client.post(where, {"other": [photo(f"{seed}.jpg", seed) for seed in range(4)]})

    assert "2 files were sent with this link" in page.content.decode()
    assert len(kinds(record)) == 2


def test_who_knocks_too_often_waits(client, record, now, monkeypatch):
    monkeypatch.setattr(links, "REQUESTS_A_MINUTE", 3)
    _, where = made(record, now)
    missing = reverse("kyc_upload", args=["nothing"])

    assert [client.get(missing).status_code for _ in range(3)] == [404] * 3
    page = client.get(where)
    assert (page.status_code, page.headers["Retry-After"]) == (429, "60")
    assert client.get(where, REMOTE_ADDR="192.0.2.9").status_code == 200


def test_what_a_reviewer_asks_for_is_shown_and_answered(client, workspace, now):
    with scoped(workspace.pk):
        case = cases.in_review(workspace, now, level=1)
        review.request_information(
            record=case.record,
            reason_codes=["document_missing"],
            text_for_subject="We need your passport.",
            acting_user=case.reviewer,
            now=now,
        )
    _, where = made(case.record, now)

    assert "We need your passport." in client.get(where).content.decode()
    assert "No file was chosen" in client.post(where, {}).content.decode()
    assert "Thank you" in client.post(where, {"identity": photo(), "identity_kind": "passport"}).content.decode()
    case.record.refresh_from_db()
    assert case.record.state == "submitted"


def test_a_link_is_made_only_where_the_subject_may_add_something(workspace, now):
    with scoped(workspace.pk):
        record = cases.submitted(workspace, now)
        with pytest.raises(Conflict, match="submitted"):
            links.create_link(record=record, acting_user=None, now=now)
        claims.claim(record=record, acting_user=cases.reviewer(workspace), now=now)


def test_somebody_signed_in_elsewhere_can_use_a_link(client, record, now):
    client.force_login(factories.make_member(factories.make_workspace()))
    _, where = made(record, now)

    assert "1 file arrived" in client.post(where, {"selfie": photo()}).content.decode()
    assert kinds(record) == ["selfie"]


def test_the_log_has_no_addresses_of_links(client, record, now, caplog):
    _, where = made(record, now)
    caplog.set_level("DEBUG")

    client.post(where, {})
    client.get(where.replace("upload/", "upload/x"))

    assert where.split("/")[-2] not in caplog.text


def test_no_cookie_is_needed(record, now):
    _, where = made(record, now)

    page = Client(enforce_csrf_checks=True).post(where, {"selfie": photo()})

    assert page.status_code == 200


def test_an_unknown_kind_of_document_does_no_harm(client, record, now):
    _, where = made(record, now)

    client.post(where, {"identity": photo(), "identity_kind": "crown"})

    assert kinds(record) == ["identity_card"]
