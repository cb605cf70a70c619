"""Documents, upload links, export and erasure by REST."""

import io
import json
import random
import zipfile
from unittest import mock

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.kyc import links
from accounts.kyc.links import NoSuchLink
from accounts.models import KycDocument, Subject
from accounts.scoping import scoped
from tests import factories
from tests.accounts.kyc import cases, hostile
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db
WHOLE = ("subjects:read", "subjects:export", "subjects:erase")


@pytest.fixture(autouse=True)
def _own_storage(settings, tmp_path):
    settings.DOCUMENTS_DIR = str(tmp_path / "documents")


@pytest.fixture
def record(workspace):
    with scoped(workspace.pk):
        return cases.draft(workspace, factories.moment(), level=1, subject={"reference": "patient-7"})


@pytest.fixture
def address(record):
    return f"/api/v1/kyc-records/{record.pk}/"


def _photo():
    return SimpleUploadedFile(
        "../../pass port.png", hostile.saved(hostile.picture(random.Random(3)), "PNG"), content_type="image/gif"
    )


def test_takes_a_document_in_and_shows_what_is_known_of_it(workspace, address):
    client = client_of(workspace)

    made = client.post(
        address + "documents/", {"file": _photo(), "kind": "passport", "side": "front"}, format="multipart"
    )

    assert (made.status_code, made.json()["name"], made.json()["state"]) == (201, "pass port.png", "clean")
    listed = {"results": [made.json()], "next": None, "previous": None}
    assert client.get(address + "documents/").json() == listed
    with scoped(workspace.pk):
        assert KycDocument.objects.get().uploaded_by.startswith("token:")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "passport"}, "file"),
        ({"kind": "passport", "file": "text"}, "file"),
        ({"kind": "passport", "file": SimpleUploadedFile("a.png", b"<script>")}, "file"),
        ({"file": SimpleUploadedFile("a.png", b"GIF89a")}, "kind"),
        ({"kind": "letter", "file": SimpleUploadedFile("a.png", b"GIF89a")}, "kind"),
        ({"kind": "passport", "side": "left", "file": SimpleUploadedFile("a.png", b"GIF89a")}, "side"),
        ({"kind": "passport", "state": "clean", "file": SimpleUploadedFile("a.png", b"GIF89a")}, "state"),
    ],
)
def test_refuses_what_is_no_document_naming_the_field(workspace, address, body, field):
    assert_problem(client_of(workspace).post(address + "documents/", body, format="multipart"), 422, field)
    with scoped(workspace.pk):
        assert not KycDocument.objects.exists()


def test_refuses_documents_where_none_can_be_added_and_what_is_too_large(workspace, address):
    client = client_of(workspace)
    large = SimpleUploadedFile("large.png", b"\x89PNG" + bytes(11 * 1024 * 1024))
    too_large = client.post(address + "documents/", {"file": large, "kind": "selfie"}, format="multipart")
    assert assert_problem(too_large, 413, "file")["detail"] == "The file is larger than 10 MB."
    assert_problem(client.post(address + "documents/", {"kind": "selfie"}), 415)
    client.post(address + "withdraw/")

    refused = client.post(address + "documents/", {"file": _photo(), "kind": "passport"}, format="multipart")

    assert assert_problem(refused, 409)["type"].endswith("#wrong-state")


def test_makes_lists_and_takes_back_upload_links(workspace, address):
    client = client_of(workspace)

    made = client.post(address + "upload-links/", {"days": 2, "text_for_subject": "Your passport, please."})

    assert made.status_code == 201
    token = made.json()["url"].rstrip("/").rpartition("/")[2]
    assert links.find(token, now=factories.moment()).pk == made.json()["id"]
    (listed,) = client.get(address + "upload-links/").json()["results"]
    assert token not in json.dumps(listed)
    for _ in range(2):
        assert client.delete(f"{address}upload-links/{made.json()['id']}/").status_code == 204
    with pytest.raises(NoSuchLink):
        links.find(token, now=factories.moment())
    assert_problem(client.delete(f"{address}upload-links/{made.json()['id'] + 1}/"), 404)
    assert_problem(client.post(address + "upload-links/", {"days": 31}), 422, "days")
    client.post(address + "upload-links/")
    first = client.get(address + "upload-links/?page_size=1").json()
    assert client.get(first["next"]).json()["results"] == [listed | {"revoked_at": mock.ANY}]
    client.post(address + "submit/")
    assert_problem(client.post(address + "upload-links/"), 409)


def test_exports_and_erases_a_subject_only_with_scopes_that_nothing_includes(workspace, record, address):
    subject = f"/api/v1/subjects/{record.subject_id}/"
    asked = {"reference": "patient-7", "reason": "They asked for it"}
    for method, body in (("export", {}), ("erase", asked)):
        assert_problem(client_of(workspace).post(f"{subject}{method}/", body), 403)
    client_of(workspace).post(address + "documents/", {"file": _photo(), "kind": "passport"}, format="multipart")
    entitled = client_of(workspace, *WHOLE)

    answer = entitled.post(subject + "export/")

    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        assert json.loads(archive.read("subject.json"))["subject"]["reference"] == "patient-7"
        assert any(name.endswith("original.png") for name in archive.namelist())
    assert_problem(entitled.post(subject + "erase/", asked | {"reference": "patient-8"}), 422, "reference")
    assert_problem(entitled.post(subject + "erase/", {"reference": "patient-7"}), 422, "reason")
    assert entitled.post(subject + "erase/", asked).status_code == 204
    with scoped(workspace.pk):
        assert Subject.objects.get().erased_at is not None
