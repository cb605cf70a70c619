"""What `manage.py check` says about a configuration that would not hold; `--deploy` looks at more of it."""

import base64
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

DATA_KEY_BYTES = 32
FEWEST_DIFFERENT_BYTES = 12
"""Of 32 random bytes; that there are fewer happens less than once in 10^20 keys."""
SHORTEST_SECRET_KEY = 32
FEWEST_DIFFERENT_LETTERS = 10
MAKE_A_KEY = "Make one with: python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"

Messages = list[CheckMessage]


@register(Tags.security)
def check_encryption_keys(app_configs: Sequence[Any] | None, **kwargs: Any) -> Messages:
    if not settings.ENCRYPTION_KEYS:
        return [Error("ENCRYPTION_KEYS is empty: no secret could be kept.", hint=MAKE_A_KEY, id="fraudconsole.E001")]
    return [
        Error(
            f"ENCRYPTION_KEYS: key number {position} is not {DATA_KEY_BYTES} bytes in URL-safe base64.",
            hint=MAKE_A_KEY,
            id="fraudconsole.E002",
        )
        for position, key in enumerate(settings.ENCRYPTION_KEYS, start=1)
        if len(_decoded(key)) != DATA_KEY_BYTES
    ]


@register(Tags.security, deploy=True)
def check_encryption_keys_are_random(app_configs: Sequence[Any] | None, **kwargs: Any) -> Messages:
    messages: Messages = []
    for position, key in enumerate(settings.ENCRYPTION_KEYS, start=1):
        body = _decoded(key)
        if len(body) == DATA_KEY_BYTES and (len(set(body)) < FEWEST_DIFFERENT_BYTES or key == settings.SECRET_KEY):
            text = f"ENCRYPTION_KEYS: key number {position} was not made at random, or is the SECRET_KEY as well."
            messages.append(Error(text, hint=MAKE_A_KEY, id="fraudconsole.E003"))
    if len(set(settings.ENCRYPTION_KEYS)) < len(settings.ENCRYPTION_KEYS):
        messages.append(Error("ENCRYPTION_KEYS names one key twice.", id="fraudconsole.E004"))
    return messages


@register(Tags.security, deploy=True)
def check_secret_key(app_configs: Sequence[Any] | None, **kwargs: Any) -> Messages:
    key = settings.SECRET_KEY
    if (
        len(key) >= SHORTEST_SECRET_KEY
        and len(set(key)) >= FEWEST_DIFFERENT_LETTERS
        and not key.startswith("django-insecure-")
    ):
        return []
    return [
        Error(
            "SECRET_KEY can be guessed: whoever does signs sessions of anybody.",
            hint="Make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'",
            id="fraudconsole.E005",
        )
    ]


@register(Tags.security, deploy=True)
def check_doors(app_configs: Sequence[Any] | None, **kwargs: Any) -> Messages:
    messages: Messages = []
    if settings.DEBUG:
        text = "DEBUG is on: whoever meets an error is shown tracebacks and settings."
        messages.append(Error(text, hint="Set DEBUG=0.", id="fraudconsole.E006"))
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        messages.append(
            Error(
                "ALLOWED_HOSTS lets every host name in, so that links in mails can be made to lead elsewhere.",
                hint="Name the hosts under which the console answers.",
                id="fraudconsole.E007",
            )
        )
    if not settings.CONSOLE_URL.startswith("https://"):
        messages.append(
            Warning(
                "CONSOLE_URL is not https: sessions and webhooks travel readable, and cookies are not marked secure.",
                id="fraudconsole.W002",
            )
        )
    return messages


@register(Tags.security)
def check_processes(app_configs: Sequence[Any] | None, **kwargs: Any) -> Messages:
    """Not under the tag of databases, whose checks are only run where a database is named."""
    if not _is_sqlite() or max(settings.WORKER_PROCESSES, settings.WEB_CONCURRENCY) <= 1:
        return []
    return [
        Error(
            "SQLite lets one process write at a time, and more than one worker or web process is configured.",
            hint="Set DATABASE_URL to a PostgreSQL database, or WORKER_PROCESSES and WEB_CONCURRENCY to 1.",
            id="fraudconsole.E008",
        )
    ]


@register(Tags.security, deploy=True)
def check_database_for_production(app_configs: Sequence[Any] | None, **kwargs: Any) -> Messages:
    if not _is_sqlite():
        return []
    return [
        Warning(
            "SQLite lets one process write at a time.",
            hint="Set DATABASE_URL to a PostgreSQL database before you run more than one worker.",
            id="fraudconsole.W001",
        )
    ]


@register(Tags.security, deploy=True)
def check_management(app_configs: Sequence[Any] | None, **kwargs: Any) -> Messages:
    if not settings.UPONAI_MANAGEMENT:
        return []
    return [
        Warning(
            f"UPONAI_MANAGEMENT is {settings.UPONAI_MANAGEMENT!r}: public keys and KYC statuses are told by an API "
            "that is assumed, and that only the sandbox has.",
            hint="Leave it empty where UponAI itself is used.",
            id="fraudconsole.W003",
        )
    ]


def _is_sqlite() -> bool:
    engine: str = settings.DATABASES["default"]["ENGINE"]
    return engine.endswith("sqlite3")


def _decoded(key: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(key)
    except ValueError:
        return b""
