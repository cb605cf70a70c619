"""Mails as files that nobody else on the machine can read: they name numbers, people and what goes wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail.backends import filebased


class EmailBackend(filebased.EmailBackend):
    """Django's, with a folder of its own made for its owner alone. A folder that is there stays as it is."""

    def __init__(self, *args: Any, file_path: str | None = None, **kwargs: Any) -> None:
        folder = file_path or settings.EMAIL_FILE_PATH
        if folder and not Path(folder).exists():
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(*args, file_path=folder, **kwargs)

    def open(self) -> bool:
        if self.stream is not None:
            return False
        descriptor = os.open(self._get_filename(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.stream = os.fdopen(descriptor, "ab")
        return True
