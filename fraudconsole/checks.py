"""What `manage.py check` says about a configuration that would not hold."""

import base64
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

DATA_KEY_BYTES = 32


@register(Tags.security)
def check_encryption_keys(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    if not settings.ENCRYPTION_KEYS:
        return [
            Error(
                "ENCRYPTION_KEYS is empty: no secret could be kept.",
                hint=(
                    "Make one with: python -c "
                    "'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"
                ),
                id="fraudconsole.E001",
            )
        ]
    messages: list[CheckMessage] = []
    for position, key in enumerate(settings.ENCRYPTION_KEYS, start=1):
        try:
            length = len(base64.urlsafe_b64decode(key))
        except ValueError:
            length = 0
        if length != DATA_KEY_BYTES:
            messages.append(
                Error(
                    f"ENCRYPTION_KEYS: key number {position} is not {DATA_KEY_BYTES} bytes in URL-safe base64.",
                    id="fraudconsole.E002",
                )
            )
    return messages


@register(Tags.database, deploy=True)
def check_database_for_production(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        return [
            Warning(
                "SQLite lets one process write at a time.",
                hint="Set DATABASE_URL to a PostgreSQL database before you run more than one worker.",
                id="fraudconsole.W001",
            )
        ]
    return []
