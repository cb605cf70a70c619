"""The import rules of pyproject.toml hold."""

import subprocess
import sys

from fraudconsole.env import PROJECT_ROOT


def test_every_import_goes_the_way_it_may():
    linter = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]

    checked = subprocess.run(linter, cwd=PROJECT_ROOT, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout
    assert "0 broken" in checked.stdout
