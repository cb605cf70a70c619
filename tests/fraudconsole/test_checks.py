"""A configuration that would not hold is named before anybody relies on it."""

import base64
import os

import pytest
from django.core.checks import run_checks

GOOD = {
    "DEBUG": False,
    "SECRET_KEY": "wC3tq0Zl9vXh-Ye7kRmA5sUgB1nJd8PfTi4OoQ2LxE6",
    "ENCRYPTION_KEYS": [base64.urlsafe_b64encode(bytes(range(32))).decode()],
    "ALLOWED_HOSTS": ["console.example.com"],
    "CONSOLE_URL": "https://console.example.com",
    "UPONAI_MANAGEMENT": "",
    "WORKER_PROCESSES": 1,
    "WEB_CONCURRENCY": 1,
}
NOT_RANDOM = base64.urlsafe_b64encode(b"\0" * 32).decode()


@pytest.fixture(autouse=True)
def on_postgresql(monkeypatch, settings):
    return _on("postgresql", monkeypatch, settings)


@pytest.fixture
def on_sqlite(monkeypatch, settings):
    return _on("sqlite3", monkeypatch, settings)


def _on(engine, monkeypatch, settings):
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", f"django.db.backends.{engine}")


def _found(settings, deploy=True, **changes):
    for name, value in {**GOOD, **changes}.items():
        setattr(settings, name, value)
    messages = run_checks(include_deployment_checks=deploy)
    return {message.id for message in messages if message.id.startswith("fraudconsole.")}


def test_has_nothing_to_say_about_a_sound_one(settings):
    assert _found(settings) == set()
    assert _found(settings, ENCRYPTION_KEYS=[base64.urlsafe_b64encode(os.urandom(32)).decode()]) == set()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ENCRYPTION_KEYS": []}, "fraudconsole.E001"),
        ({"ENCRYPTION_KEYS": ["short"]}, "fraudconsole.E002"),
        ({"ENCRYPTION_KEYS": [NOT_RANDOM]}, "fraudconsole.E003"),
        ({"ENCRYPTION_KEYS": GOOD["ENCRYPTION_KEYS"] * 2}, "fraudconsole.E004"),
        ({"SECRET_KEY": "x"}, "fraudconsole.E005"),
        ({"SECRET_KEY": "django-insecure-" + GOOD["SECRET_KEY"]}, "fraudconsole.E005"),
        ({"SECRET_KEY": "changeme" * 8}, "fraudconsole.E005"),
        ({"DEBUG": True}, "fraudconsole.E006"),
        ({"ALLOWED_HOSTS": ["console.example.com", "*"]}, "fraudconsole.E007"),
        ({"ALLOWED_HOSTS": []}, "fraudconsole.E007"),
        ({"CONSOLE_URL": "http://console.example.com"}, "fraudconsole.W002"),
        ({"UPONAI_MANAGEMENT": "sandbox"}, "fraudconsole.W003"),
    ],
)
def test_names_what_would_not_hold(settings, changes, named):
    assert _found(settings, **changes) == {named}


@pytest.mark.parametrize("setting", ["WORKER_PROCESSES", "WEB_CONCURRENCY"])
def test_more_than_one_process_needs_another_database_than_sqlite(settings, on_sqlite, setting):
    assert _found(settings) == {"fraudconsole.W001"}
    assert _found(settings, deploy=False, **{setting: 2}) == {"fraudconsole.E008"}


@pytest.mark.parametrize("setting", ["WORKER_PROCESSES", "WEB_CONCURRENCY"])
def test_postgresql_bears_more_than_one_process(settings, setting):
    assert _found(settings, **{setting: 2}) == set()
