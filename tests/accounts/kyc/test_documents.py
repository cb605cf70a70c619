"""Documents are taken in, kept sealed, shown for a moment to who may see them, and removed for good."""

from __future__ import annotations

import io
import random
import socket
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from PIL import Image

from accounts import encryption, scoping
from accounts.encryption import CannotOpen
from accounts.kyc import document_page, documents, privacy, rendering, review, storage
from accounts.kyc.transitions import Conflict
from accounts.models import AuditEntry, KycDocument, KycRecord, User
from accounts.roles import Role
from tests import factories
from tests.accounts.kyc import cases, hostile
from tests.accounts.kyc.test_machine_readable import TD3

pytestmark = pytest.mark.django_db


def photo(seed: int = 1, **options) -> bytes:
    return hostile.saved(hostile.picture(random.Random(seed), 640, 400), "JPEG", **options)


@pytest.fixture(autouse=True)
def _own_storage(settings, tmp_path):
    settings.DOCUMENTS_DIR = str(tmp_path / "documents")


@pytest.fixture
def record(in_workspace, now):
    return cases.draft(in_workspace, now, level=2)


def accept(record, now, content=b"", **facts):
    given = {"name": "passport.jpg", "kind": "passport", "acting_user": None} | facts
    return documents.accept(record=record, content=content or photo(), now=now, **given)


def stored() -> list[Path]:
    return [storage.root() / name for name in storage.names()]


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("sequence").values_list("action", flat=True))


def test_a_document_is_kept_sealed_and_only_its_pixels_are_shown(record, now):
    exif = Image.Exif()
    exif[0x010E] = hostile.PLACE.decode()
    content = photo(exif=exif)

    document = accept(record, now, content, name="../../Ausweis vorn.jpg")

    assert (document.state, document.name, document.pages) == ("clean", "Ausweis vorn.jpg", 1)
    assert documents.original(document) == content
    page = documents.clean_page(document, 1)
    assert hostile.PLACE not in page
    assert Image.open(io.BytesIO(page)).size == (640, 400)
    for path in stored():
        assert path.stat().st_mode & 0o077 == 0
        kept = path.read_bytes()
        assert b"JFIF" not in kept
        assert b"\xff\xd8\xff" not in kept[:64]
    assert "kyc_document.add" in actions()


def test_a_sealed_file_opens_only_where_it_was_sealed(record, now):
    first, second = accept(record, now), accept(record, now, photo(2))
    first_path, second_path = storage.root() / first.clean_file, storage.root() / second.clean_file
    first_path.write_bytes(second_path.read_bytes())
    with pytest.raises(CannotOpen):
        documents.clean_page(first, 1)

    altered = bytearray(second_path.read_bytes())
    altered[-1] ^= 1
    second_path.write_bytes(altered)
    with pytest.raises(CannotOpen):
        documents.clean_page(second, 1)


def test_files_are_sealed_bytes(workspace):
    key, other = encryption.new_file_key(), encryption.new_file_key()
    place = {"workspace_id": workspace.pk, "model": "kycdocument", "row": "a", "field": "clean_file"}
    sealed = encryption.seal_bytes(key=key, **place, content=bytes(range(256)))

    assert encryption.unseal_bytes(key=key, **place, sealed=sealed) == bytes(range(256))
    for changed in ({"row": "b"}, {"field": "sealed_file"}, {"workspace_id": 0}, {"key": other}, {"sealed": b"x"}):
        with pytest.raises(CannotOpen):
            encryption.unseal_bytes(**{"key": key, **place, "sealed": sealed, **changed})


@pytest.mark.parametrize(("content", "says"), [(hostile.HTML, "not a PNG, JPEG or PDF"), (hostile.TEST_VIRUS, "virus")])
def test_what_is_not_taken_is_named_and_leaves_nothing(record, now, content, says):
    with pytest.raises(ValidationError) as refusal:
        accept(record, now, content, name="id.jpg")

    assert says in refusal.value.message_dict["file"][0]
    assert refusal.value.message_dict["file"][0].startswith("id.jpg was not taken")
    assert not stored()
    assert not KycDocument.objects.exists()


def test_of_hostile_files_only_clean_pictures_can_ever_be_looked_at(record, now, monkeypatch):
    monkeypatch.setattr(documents, "MOST_DOCUMENTS", 1000)
    chosen = hostile.files()[::6]
    for each in chosen:
        try:
            document = accept(record, now, each.content, name=each.name)
        except ValidationError:
            continue
        assert not set(document.name) & set("/\\\0\u202e<>\"'\r\n")
        assert len(document.name) <= documents.LONGEST_NAME
        for page in documents.clean_pages(document):
            assert page.startswith(b"\xff\xd8\xff")
            assert hostile.SCRIPT not in page
    assert KycDocument.objects.exists()
    assert len(stored()) == 2 * KycDocument.objects.count()


def test_the_same_file_sent_twice_is_one_document(record, now):
    first = accept(record, now)

    assert accept(record, now).pk == first.pk
    assert len(stored()) == 2


def test_one_person_fills_only_so_much(record, now, monkeypatch):
    monkeypatch.setattr(documents, "MOST_DOCUMENTS", 2)
    accept(record, now, photo(1))
    second = accept(record, now, photo(2))
    with pytest.raises(ValidationError, match="2 files of this person"):
        accept(record, now, photo(3))

    documents.remove(document=second, acting_user=None, now=now, reason="blurred")
    accept(record, now, photo(3))
    monkeypatch.setattr(documents, "MOST_SUBJECT_BYTES", 100)
    documents.remove(document=KycDocument.objects.filter(state="clean").first(), acting_user=None, now=now, reason="x")
    with pytest.raises(ValidationError, match="more than"):
        accept(record, now, photo(4))


def test_a_removed_document_is_gone_for_good(record, now):
    document = accept(record, now)
    document.refresh_from_db()
    key, paths = document.file_key, stored()
    assert key
    with _committed():
        documents.remove(document=document, acting_user=None, now=now, reason="the wrong person's")

    document.refresh_from_db()
    assert not any(path.exists() for path in paths)
    assert (document.state, document.file_key, document.name, document.sha256) == ("removed", "", "", "")
    with pytest.raises(storage.Gone):
        documents.clean_page(document, 1)


def test_changed_evidence_cancels_what_was_proposed(in_workspace, now):
    case = cases.in_review(in_workspace, now, level=3)
    case.record = propose(case, now)
    assert case.record.state == "proposed_approve"

    accept(case.record, now)

    case.record.refresh_from_db()
    assert case.record.state == "in_review"


def test_a_decided_record_takes_no_more_documents(in_workspace, now):
    case = cases.in_review(in_workspace, now, level=1)
    document = accept(case.record, now)
    case.record = propose(case, now)
    assert case.record.state == "approved"

    with pytest.raises(Conflict):
        accept(case.record, now, photo(2))
    with pytest.raises(Conflict):
        documents.remove(document=document, acting_user=None, now=now, reason="x")
    assert len(stored()) == 2


def test_the_subject_adds_nothing_while_somebody_looks(in_workspace, now):
    case = cases.in_review(in_workspace, now)

    with pytest.raises(Conflict):
        accept(case.record, now, by_subject=True)


def test_the_lines_are_read_and_the_number_is_sealed(record, now):
    document = accept(record, now)

    reading = documents.read_lines(document=document, text=TD3, acting_user=None, now=now)

    document.refresh_from_db()
    assert reading.fits
    assert document.number_last_four == "02C3"
    assert "L898902C3" not in document.number_sealed
    assert documents.number_of(document) == "L898902C3"
    assert document.reading["fits"] is True
    assert document.expires_on.isoformat() == "2012-04-15"
    assert "L898902C3" not in str(list(AuditEntry.objects.values_list("detail", flat=True)))


def test_a_scanner_that_does_not_answer_means_no_file(record, now, settings):
    settings.DOCUMENT_SCANNER = "unix:///nowhere/clamd.ctl"

    with pytest.raises(ValidationError, match="could not be scanned"):
        accept(record, now)


@pytest.mark.parametrize(
    ("answer", "says"),
    [(b"stream: OK\0", ""), (b"stream: Win.Test FOUND\0", "virus"), (b"ERROR\0", "scanned"), (b"", "scanned")],
)
def test_a_scanner_has_the_last_word(record, now, settings, answer, says):
    content = photo()
    with _scanner(answer) as (address, heard):
        settings.DOCUMENT_SCANNER = address
        if not says:
            assert accept(record, now, content).state == "clean"
        else:
            with pytest.raises(ValidationError, match=says):
                accept(record, now, content)
    assert heard == [content]


# --- The view ---------------------------------------------------------------------------------------


@pytest.fixture
def case(workspace, now):
    with scoping.scoped(workspace.pk):
        record = cases.draft(workspace, now, level=2)
        return record, accept(record, now)


def signed_in(client, workspace, role=Role.KYC_REVIEWER):
    user = factories.make_member(workspace, role)
    client.force_login(user)
    return user


def request_of(client, rf, user):
    request = rf.get("/")
    request.session, request.user = client.session, user
    return request


def address(client, rf, user, document, **at):
    return document_page.address_of(request_of(client, rf, user), document, 1, **at)


def test_a_reviewer_sees_a_page_which_is_written_down(client, rf, workspace, case):
    user = signed_in(client, workspace)

    answer = client.get(address(client, rf, user, case[1]))

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Disposition"] == 'inline; filename="document-1.jpg"'
    assert answer.content.startswith(b"\xff\xd8\xff")
    with scoping.scoped(workspace.pk):
        entry = AuditEntry.objects.filter(action="kyc_document.view").get()
    assert (entry.actor_id, entry.object_id) == (user.pk, str(case[1].pk))


def test_an_address_lasts_a_minute(client, rf, workspace, case, now):
    user = signed_in(client, workspace)

    fresh = address(client, rf, user, case[1], now=now - timedelta(seconds=40))
    old = address(client, rf, user, case[1], now=now - timedelta(seconds=62))

    assert client.get(fresh).status_code == 200
    assert client.get(old).status_code == 403


def test_an_address_opens_nothing_in_another_session(client, rf, workspace, case, django_user_model):
    user = signed_in(client, workspace)
    where = address(client, rf, user, case[1])
    other = type(client)()

    assert other.get(where).status_code == 302  # to the sign-in
    other.force_login(user)
    assert other.get(where).status_code == 403
    assert client.get(where).status_code == 200
    altered = where[:-4] + ("AAAA" if where[-4:] != "AAAA" else "BBBB")
    assert client.get(altered).status_code == 403


@pytest.mark.parametrize("role", [Role.ANALYST, Role.VIEWER, Role.POLICY_EDITOR])
def test_roles_that_need_not_see_documents_do_not(client, rf, workspace, case, role):
    user = signed_in(client, workspace, role)

    assert client.get(address(client, rf, user, case[1])).status_code == 403
    with scoping.scoped(workspace.pk):
        assert not AuditEntry.objects.filter(action="kyc_document.view").exists()


def test_another_workspace_sees_nothing(client, rf, case):
    user = signed_in(client, factories.make_workspace())

    assert client.get(address(client, rf, user, case[1])).status_code == 403


def test_no_address_of_the_console_leads_to_the_files(client, workspace, case, settings):
    signed_in(client, workspace)

    for name in (case[1].clean_file, case[1].sealed_file):
        for prefix in ("/static/", "/media/", "/documents/", "/static/../", "/"):
            assert client.get(f"{prefix}{name}").status_code == 404
    assert reverse("kyc_document", args=["x"]).startswith("/admin/")


# --- Small parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\id.png", "id.png"),
        ("gpj.exe\u202e.jpg", "gpj.exe.jpg"),
        ("a\x00b\r\n.pdf", "ab.pdf"),
        ("<img src=x>.png", "img src=x.png"),
        ("   ", "file"),
        ("", "file"),
        ("Ausweis Müller.pdf", "Ausweis Müller.pdf"),
    ],
)
def test_names_are_made_harmless(given, shown):
    assert documents.harmless_name(given) == shown


def test_a_file_has_no_name_that_leads_out(tmp_path):
    for name in ("../x", "/etc/passwd", "aa/../../x", "", "aa"):
        with pytest.raises(storage.Gone):
            storage.read(name)


def propose(case, now) -> KycRecord:
    from accounts.kyc import evidence

    case.record.refresh_from_db()
    return review.approve(
        record=case.record, seen_evidence=evidence.hash_of(case.record), acting_user=case.reviewer, now=now
    )


class _committed:
    """Runs what waits for the commit, inside a test's own transaction."""

    def __enter__(self):
        from django.test import TestCase

        self.capture = TestCase.captureOnCommitCallbacks(execute=True)
        return self.capture.__enter__()

    def __exit__(self, *trouble):
        return self.capture.__exit__(*trouble)


class _scanner:
    """A clamd that hears one file and answers what it is told to."""

    def __init__(self, answer: bytes) -> None:
        self.answer, self.heard = answer, []

    def __enter__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        return f"tcp://127.0.0.1:{self.listening.getsockname()[1]}", self.heard

    def _serve(self):
        line, _ = self.listening.accept()
        with line, line.makefile("rb") as given:
            assert given.read(10) == b"zINSTREAM\0"
            content = b""
            while length := int.from_bytes(given.read(4)):
                content += given.read(length)
            self.heard.append(content)
            line.sendall(self.answer)

    def __exit__(self, *trouble):
        self.thread.join(5)
        self.listening.close()


def test_a_token_never_sees_documents(record, now):
    document = accept(record, now)
    documents.read_lines(document=document, text=TD3, acting_user=None, now=now)
    document.refresh_from_db()
    reviewer, analyst = cases.reviewer(record.workspace), factories.make_member(record.workspace, Role.ANALYST)

    assert privacy.shown_number(document, User.objects.get(pk=reviewer.pk)) == "L898902C3"
    assert privacy.shown_number(document, User.objects.get(pk=analyst.pk)) == "••••02C3"
    assert privacy.shown_number(document, None) == "••••02C3"
    assert privacy.shown_phone("+14155550100", analyst) == "+14••••00"
    assert privacy.shown_phone("+14155550100", reviewer) == "+14155550100"


def test_a_busy_machine_says_so(record, now, monkeypatch):
    monkeypatch.setattr(rendering, "_places", threading.BoundedSemaphore(1))
    monkeypatch.setattr(rendering, "PATIENCE_SECONDS", 0.01)
    with rendering._places, pytest.raises(ValidationError, match="too many files"):
        accept(record, now)
