"""Typed readers of the environment. The only module that looks into it; imports nothing but the standard library.

A name is looked up in the process environment, then in `.env` beside manage.py, then in `embedded.env`
of the data directory, which `make run` writes so that commands typed by hand find the running demo.
"""

import hashlib
import ipaddress
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

PROJECT_ROOT = Path(__file__).resolve().parent.parent
TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off", ""}

MAIL_PORTS = {"smtp": 25, "smtps": 465}
STARTTLS_PORT = 587

DEFAULT_WEB_THREADS = 64
"""Of each web process. Whoever starts one with another number says so in `WEB_THREADS`."""


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

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of `choices`; the first of them where nothing is set."""
        word = self.text(name, choices[0]).lower()
        if word not in choices:
            raise BadSetting(f"{name} must be {' or '.join(each or 'empty' for each in choices)}, not {word!r}.")
        return word

    def words(self, name: str, default: str = "") -> list[str]:
        """Comma-separated words, without blanks."""
        return [word.strip() for word in self.text(name, default).split(",") if word.strip()]

    def networks(self, name: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        try:
            return [ipaddress.ip_network(word) for word in self.words(name)]
        except ValueError as problem:
            raise BadSetting(f"{name} must be a list of networks such as 10.0.0.0/8: {problem}.") from None

    def addresses(self, name: str, defaults: Mapping[str, str]) -> dict[str, str]:
        """Web addresses by kind: `defaults`, where the variable names no other.

        It may hold one address for all kinds, `kind=address` pairs with commas between, or both in one JSON object.
        """
        known = ", ".join(defaults)
        chosen = {}
        for kind, address in self._pairs(name, defaults):
            if kind not in defaults:
                raise BadSetting(f"{name} names {kind!r}, which is none of the kinds {known}.")
            chosen[kind] = self._address(name, address)
        return {**defaults, **chosen}

    def mail(self, name: str, default_folder: Path) -> dict[str, object]:
        """Django's EMAIL_ settings from smtp://user:password@host:587/?tls=1, smtps://… or file:///folder.

        Without any, mails are files in `default_folder`. User and password are written as in every address: %40 is @.
        """
        text = self.text(name)
        if not text:
            return _mail_into(default_folder)
        try:
            parts = urlsplit(text)
            port, options = parts.port, dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        except ValueError:
            raise BadSetting(f"{name} is not an address that could be read.") from None
        if parts.scheme == "file" and parts.path and not parts.netloc:
            return _mail_into(Path(unquote(parts.path)))
        starttls = options.pop("tls", "0").lower()
        if parts.scheme not in MAIL_PORTS or not parts.hostname or options or starttls not in TRUE_WORDS | FALSE_WORDS:
            # Not shown: it may hold a password.
            raise BadSetting(f"{name} must be like smtp://user:password@mail.example.com:587/?tls=1 or smtps://….")
        with_starttls = parts.scheme == "smtp" and starttls in TRUE_WORDS
        return {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": parts.hostname,
            "EMAIL_PORT": port or (STARTTLS_PORT if with_starttls else MAIL_PORTS[parts.scheme]),
            "EMAIL_HOST_USER": unquote(parts.username or ""),
            "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
            "EMAIL_USE_TLS": with_starttls,
            "EMAIL_USE_SSL": parts.scheme == "smtps",
        }

    def _pairs(self, name: str, kinds: Mapping[str, str]) -> Iterator[tuple[str, object]]:
        text = self.text(name)
        if text.startswith("{"):
            try:
                yield from json.loads(text).items()
            except ValueError as problem:
                raise BadSetting(f"{name} begins like a JSON object and is none: {problem}.") from None
        elif "=" not in text.partition("://")[0]:
            yield from ((kind, text) for kind in kinds if text)
        else:
            for word in self.words(name):
                kind, _, address = word.partition("=")
                yield kind.strip(), address.strip()

    @staticmethod
    def _address(name: str, address: object) -> str:
        try:
            parts = urlsplit(address if isinstance(address, str) else "")
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or any(sign in str(address) for sign in " ,"):
            raise BadSetting(f"{name} must hold addresses such as https://example.com/siteverify, not {address!r}.")
        return str(address)


def _mail_into(folder: Path) -> dict[str, object]:
    return {"EMAIL_BACKEND": "fraudconsole.mail_files.EmailBackend", "EMAIL_FILE_PATH": str(folder)}
