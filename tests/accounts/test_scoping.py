"""Tenant scoping: no workspace, no rows."""

import subprocess
import sys

import pytest
from django.db.models import Exists

from accounts import scoping
from accounts.models import KycRecord, PublicKey, Subject
from accounts.scoping import ForeignWorkspace, UnscopedQuery, scoped, unscoped
from tests.factories import make_workspace

pytestmark = pytest.mark.django_db

DOORS = {
    "list": lambda rows: list(rows),
    "first": lambda rows: rows.first(),
    "get": lambda rows: rows.get(),
    "count": lambda rows: rows.count(),
    "exists": lambda rows: rows.exists(),
    "iterator": lambda rows: list(rows.iterator()),
    "values": lambda rows: list(rows.values_list("name")),
    "aggregate": lambda rows: rows.aggregate(most=scoping.models.Max("pk")),
    "update": lambda rows: rows.update(name="changed"),
    "delete": lambda rows: rows.delete(),
    "in_bulk": lambda rows: rows.in_bulk([1]),
    "slice": lambda rows: list(rows[:1]),
    "bulk_update": lambda rows: rows.bulk_update([PublicKey(pk=1, name="x")], ["name"]),
}


@pytest.mark.parametrize("door", DOORS)
def test_refuses_every_door_without_a_workspace(door):
    rows = PublicKey.objects.filter(name="website")

    with pytest.raises(UnscopedQuery):
        DOORS[door](rows)


@pytest.mark.parametrize("door", ["create", "bulk_create", "get_or_create", "update_or_create"])
def test_refuses_to_write_without_a_workspace(door):
    workspace = make_workspace()
    row = {"workspace": workspace, "name": "website", "key": "pk_1"}
    arguments = [[PublicKey(**row)]] if door == "bulk_create" else []

    with pytest.raises(UnscopedQuery):
        getattr(PublicKey.objects, door)(*arguments, **({} if arguments else row))


def test_shows_only_rows_of_the_current_workspace():
    ours, theirs = make_workspace(), make_workspace()
    for workspace in (ours, theirs):
        with scoped(workspace.pk):
            Subject.objects.create(reference="42", name=f"of {workspace.slug}")

    with scoped(ours.pk):
        seen = [subject.name for subject in Subject.objects.all()]

    assert seen == [f"of {ours.slug}"]


def test_does_not_let_a_filter_reach_over_the_fence():
    ours, theirs = make_workspace(), make_workspace()
    with scoped(theirs.pk):
        subject = Subject.objects.create(reference="42", name="Ada")

    with scoped(ours.pk):
        assert not Subject.objects.filter(workspace=theirs).exists()
        assert not Subject.objects.filter(pk=subject.pk).update(name="taken")
        assert not theirs.subject_set.exists()


def test_refuses_to_write_a_row_of_another_workspace():
    ours, theirs = make_workspace(), make_workspace()

    with scoped(ours.pk), pytest.raises(ForeignWorkspace):
        Subject.objects.create(workspace=theirs, reference="42", name="Ada")


def test_binds_a_queryset_made_before_the_workspace_was_known():
    rows = Subject.objects.filter(name="Ada")
    workspace = make_workspace()

    with scoped(workspace.pk):
        Subject.objects.create(reference="42", name="Ada")
        found = rows.all().count()

    assert found == 1
    with pytest.raises(UnscopedQuery):
        rows.count()


def test_refuses_a_queryset_that_was_made_for_another_workspace():
    ours, theirs = make_workspace(), make_workspace()
    with scoped(ours.pk):
        rows = Subject.objects.filter(name="Ada")
    with unscoped(reason="a test of it"):
        everybodys = Subject.objects.filter(name="Ada")

    with scoped(theirs.pk):
        for stale in (rows, everybodys):
            for reach in (
                len,
                lambda stale: stale.all(),
                lambda stale: stale.count(),
                lambda stale: stale.update(name="x"),
            ):
                with pytest.raises(ForeignWorkspace):
                    reach(stale)


@pytest.mark.parametrize(
    "narrow",
    [
        lambda: KycRecord.objects.filter(subject__in=Subject.objects.all()),
        lambda: KycRecord.objects.filter(Exists(Subject.objects.all())),
        lambda: Subject.objects.filter(name="Ada").union(Subject.objects.all()),
    ],
    ids=["in", "exists", "union"],
)
def test_narrows_a_query_within_a_query(narrow):
    ours, theirs = make_workspace(), make_workspace()
    with scoped(theirs.pk):
        subject = Subject.objects.create(reference="42", name="Ada")
    with scoped(ours.pk):
        # A row that cannot come about by the verbs shows through which query it was found.
        KycRecord.objects.create(subject=subject, level=1)

        assert list(narrow()) == []


def test_imports_the_pages_before_anybody_is_signed_in():
    """Within the first request, the querysets in their class bodies would be bound to its workspace."""
    program = (
        "import sys; from fraudconsole.wsgi import application; import accounts.middleware;"
        "sys.exit('fraudconsole.urls' not in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_shows_all_rows_to_who_says_why():
    for workspace in (make_workspace(), make_workspace()):
        with scoped(workspace.pk):
            Subject.objects.create(reference="42", name="Ada")

    with unscoped(reason="a test of it"):
        assert Subject.objects.count() == 2
    with pytest.raises(ValueError, match="reason"), unscoped(reason=""):
        pass
