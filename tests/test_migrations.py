"""The tables are what the models say."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

OURS = ("accounts", "policies", "monitoring")


@pytest.mark.django_db
def test_no_model_has_changed_without_a_migration():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
@pytest.mark.parametrize("app", OURS)
def test_migrations_follow_one_another(app):
    assert len(MigrationLoader(connection).graph.leaf_nodes(app)) == 1
