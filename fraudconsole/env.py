"""Typed readers of the environment. The only module that looks into it; imports nothing but the standard library.

A name is looked up in the process environment, then in `.env` beside manage.py, then in `embedded.env`
of the data directory, which `make run` writes so that commands typed by hand find the running demo.
"""

import hashlib
import ipaddress
import os
import tempfile
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent
TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off", ""}


class BadSetting(Exception):
    """A variable has a value that cannot be used; the message names it."""


def read_file(path: Path) -> dict[str, str]:
    """The KEY=value lines of a file; empty when there is no such file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    values = {}
    for line in lines:
        name, separator, value = line.partition("=")
        if separator and not name.lstrip().startswith("#"):
            values[name.strip()] = value.strip().strip('"').strip("'")
    return values


def data_dir() -> Path:
    """Where the embedded database, store and documents live. `DATA_DIR`, by default `var/` beside manage.py."""
    chosen = os.environ.get("DATA_DIR") or read_file(PROJECT_ROOT / ".env").get("DATA_DIR") or "var"
    return (PROJECT_ROOT / Path(chosen).expanduser()).resolve()


def embedded_socket(directory: Path) -> Path:
    """The private socket of the embedded store.

    In the temporary directory, since a socket's path may have about 104 characters and a data directory any.
    """
    digest = hashlib.sha256(str(directory).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"fraudconsole-{os.getuid()}-{digest}" / "valkey.sock"


def embedded_redis_url(directory: Path) -> str:
    return f"unix://{embedded_socket(directory)}"


class Environment:
    """The three sources, read once."""

    def __init__(self, *sources: dict[str, str]) -> None:
        self._sources = sources

    @classmethod
    def load(cls) -> "Environment":
        return cls(
            dict(os.environ),
            read_file(PROJECT_ROOT / ".env"),
            read_file(data_dir() / "embedded.env"),
        )

    def text(self, name: str, default: str = "") -> str:
        for source in self._sources:
            if source.get(name):
                return source[name]
        return default

    def flag(self, name: str, default: bool = False) -> bool:
        word = self.text(name, "1" if default else "0").lower()
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS:
            return False
        raise BadSetting(f"{name} must be 1 or 0, not {word!r}.")

    def number(self, name: str, default: int) -> int:
        word = self.text(name, str(default))
        try:
            return int(word)
        except ValueError:
            raise BadSetting(f"{name} must be a whole number, not {word!r}.") from None

    def words(self, name: str, default: str = "") -> list[str]:
        """Comma-separated words, without blanks."""
        return [word.strip() for word in self.text(name, default).split(",") if word.strip()]

    def networks(self, name: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        try:
            return [ipaddress.ip_network(word) for word in self.words(name)]
        except ValueError as problem:
            raise BadSetting(f"{name} must be a list of networks such as 10.0.0.0/8: {problem}.") from None
