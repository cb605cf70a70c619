#!/usr/bin/env python
"""The console's commands. Uses the project's own virtual environment when started from outside it."""

import os
import sys
from pathlib import Path


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fraudconsole.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        own_python = Path(__file__).resolve().parent / ".venv" / "bin" / "python"
        if not own_python.exists() or Path(sys.prefix) == own_python.parent.parent:
            sys.exit("The console's libraries are not installed yet. Install them with: make run")
        os.execv(own_python, [str(own_python), *sys.argv])  # noqa: S606  (no shell is wanted)
    from fraudconsole.env import BadSetting

    try:
        execute_from_command_line(sys.argv)
    except BadSetting as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
