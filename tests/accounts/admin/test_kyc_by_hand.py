"""What people do by hand beside deciding: papers, links, a person's export and erasure, the settings of reviews."""

import io
import json
import random
import re
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.kyc import documents, links, provider_results
from accounts.kyc.links import NoSuchLink
from accounts.models import KycDocument, Subject, Workspace
from accounts.roles import Role
from tests.accounts.admin.test_people import SETTINGS, settings_page
from tests.accounts.kyc import cases, hostile
from tests.factories import make_member, moment
from tests.signing_in import messages_of, signed_in

PREFIX = "admin:accounts_kycrecord_"


@pytest.fixture(autouse=True)
def _own_storage(settings, tmp_path):
    settings.DOCUMENTS_DIR = str(tmp_path / "documents")


@pytest.fixture
def record(in_workspace, now):
    return cases.draft(in_workspace, now, level=1, subject={"reference": "patient-7"})


@pytest.fixture
def reviewer(in_workspace):
    return signed_in(in_workspace, Role.KYC_REVIEWER)


def _png():
    return hostile.saved(hostile.picture(random.Random(3)), "PNG")


def test_a_document_is_added_and_its_number_noted(reviewer, record):
    case, add = (reverse(PREFIX + name, args=[record.pk]) for name in ("change", "document_add"))
    assert "Add a document that came another way" in reviewer.get(case).content.decode()

    reviewer.post(add, {"kind": "driving_licence", "file": SimpleUploadedFile("card.png", _png())})
    document = KycDocument.objects.get()
    number = reverse(PREFIX + "document_number", args=[record.pk, document.pk])
    refused = reviewer.post(number, {"number": "1"}, follow=True)
    reviewer.post(number, {"number": "X-123 456"})

    assert (document.kind, document.name, document.uploaded_by[:5]) == ("driving_licence", "card.png", "user:")
    assert "4 to 40 letters and digits" in messages_of(refused)
    document.refresh_from_db()
    assert documents.number_of(document) == "X-123 456"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"kind": "passport"}, "Choose a file first"),
        ({"kind": "letter", "file": b"GIF89a"}, "is no kind of document"),
        ({"kind": "passport", "file": b"<script>"}, "a.png"),
    ],
)
def test_what_is_no_document_is_refused_in_words(reviewer, record, form, words):
    given = {
        name: SimpleUploadedFile("a.png", value) if isinstance(value, bytes) else value for name, value in form.items()
    }
    answer = reviewer.post(reverse(PREFIX + "document_add", args=[record.pk]), given, follow=True)

    assert words in messages_of(answer)
    assert not KycDocument.objects.exists()


def test_a_document_is_added_by_nobody_elses_page(in_workspace, record):
    """The view is exempt from the middleware's look, so that no file reaches the disk; it looks itself."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_member(in_workspace, Role.KYC_REVIEWER))
    address = reverse(PREFIX + "document_add", args=[record.pk])
    page = client.get(reverse(PREFIX + "change", args=[record.pk])).content.decode()
    (token,) = set(re.findall('name="csrfmiddlewaretoken" value="([^"]+)"', page))

    def send(**more):
        return client.post(address, {"kind": "passport", "file": SimpleUploadedFile("a.png", _png())} | more)

    assert send().status_code == 403
    assert not KycDocument.objects.exists()
    assert send(csrfmiddlewaretoken=token).status_code == 302
    assert KycDocument.objects.exists()


def test_a_link_is_taken_back(reviewer, record, now):
    _link, token = links.create_link(record=record, acting_user=None, now=now)
    case = reverse(PREFIX + "change", args=[record.pk])
    assert "Take back the link" in reviewer.get(case).content.decode()

    answer = reviewer.post(reverse(PREFIX + "revoke_links", args=[record.pk]), follow=True)

    assert "Take back" not in answer.content.decode()
    with pytest.raises(NoSuchLink):
        links.find(token, now=now)


def test_a_person_is_taken_along(reviewer, record):
    documents.accept(record=record, content=_png(), name="a.png", kind="passport", acting_user=None, now=moment())

    answer = reviewer.post(reverse("admin:accounts_subject_export", args=[record.subject_id]))

    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        assert json.loads(archive.read("subject.json"))["subject"]["reference"] == "patient-7"


def test_a_person_is_erased_by_the_owner_who_types_the_reference(reviewer, in_workspace, record):
    page, erase = (reverse(f"admin:accounts_subject_{name}", args=[record.subject_id]) for name in ("change", "erase"))
    asked = {"reference": "patient-7", "reason": "They asked for it"}
    assert "Erase this person" not in reviewer.get(page).content.decode()
    assert reviewer.post(erase, asked).status_code == 403
    owner = signed_in(in_workspace)
    assert "Erase this person" in owner.get(page).content.decode()
    for wrong in ({"reference": "patient-8"}, {"reason": " "}):
        assert "Nothing was erased" in messages_of(owner.post(erase, asked | wrong, follow=True))
    assert Subject.objects.get().erased_at is None

    assert owner.post(erase, asked).status_code == 302

    assert Subject.objects.get().erased_at is not None
    after = owner.get(page)
    assert "Erase this person" not in after.content.decode()


def test_the_secret_of_providers_is_made_and_shown_once(reviewer, in_workspace):
    address = reverse("admin:accounts_workspace_provider_secret")
    assert reviewer.post(address).status_code == 403
    owner = signed_in(in_workspace)
    assert "There is no secret yet" in owner.get(settings_page(in_workspace)).content.decode()

    shown = owner.post(address).content.decode()

    secret = provider_results.secret_of(Workspace.objects.get(pk=in_workspace.pk))
    assert secret.startswith("prs_")
    assert secret in shown
    after = owner.get(settings_page(in_workspace)).content.decode()
    assert secret not in after
    assert "Replace the secret" in after


def test_the_settings_of_reviews_are_edited_in_words(in_workspace):
    owner = signed_in(in_workspace)
    page = owner.get(settings_page(in_workspace)).content.decode()
    assert "An approval at level 3 counts for" in page
    given = {"kyc_valid_days_3": "90", "kyc_review_hours": "4"}

    assert owner.post(settings_page(in_workspace), SETTINGS | given).status_code == 302

    in_workspace.refresh_from_db()
    assert in_workspace.kyc_settings == {"valid_days": {"3": 90}, "review_hours": 4}
    assert 'value="90"' in owner.get(settings_page(in_workspace)).content.decode()
    refused = owner.post(settings_page(in_workspace), SETTINGS | {"kyc_claim_minutes": "0"})
    assert "greater than or equal to 1" in refused.content.decode()
    owner.post(settings_page(in_workspace), SETTINGS)
    in_workspace.refresh_from_db()
    assert in_workspace.kyc_settings == {}


def test_who_only_reads_the_settings_sees_those_of_reviews(in_workspace):
    in_workspace.kyc_settings = {"review_hours": 4}
    in_workspace.save(update_fields=["kyc_settings"])

    page = signed_in(in_workspace, Role.VIEWER).get(settings_page(in_workspace))

    assert page.status_code == 200
    assert "There is no secret" not in page.content.decode()
    assert 'name="kyc_review_hours"' not in page.content.decode()
