"""The settings and their explanation do not drift apart, and bad values are named."""

import ast
import re
from pathlib import Path

import pytest

from fraudconsole.env import PROJECT_ROOT, BadSetting, Environment, embedded_socket, read_file

SETTINGS = PROJECT_ROOT / "fraudconsole" / "settings.py"
LAUNCHER = PROJECT_ROOT / "fraudconsole" / "launcher"
READ_ELSEWHERE = {"DATA_DIR", "PORT", "SANDBOX_PORT"}  # by env.py and by the launcher


def _names_read() -> set[str]:
    calls = (node for node in ast.walk(ast.parse(SETTINGS.read_text())) if isinstance(node, ast.Call))
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "environment"
    }


def test_explains_every_variable_and_no_other():
    explained = set(read_file(PROJECT_ROOT / ".env.example"))

    assert explained == _names_read() | READ_ELSEWHERE


def test_the_launcher_really_reads_its_ports():
    text = "".join(path.read_text() for path in LAUNCHER.glob("*.py"))

    for name in ("PORT", "SANDBOX_PORT"):
        assert re.search(rf'"{name}"', text)


def test_takes_the_first_source_that_has_a_value():
    environment = Environment({"A": "process"}, {"A": "file", "B": "file"}, {"B": "embedded", "C": "embedded"})

    assert [environment.text(name) for name in "ABC"] == ["process", "file", "embedded"]
    assert environment.text("D", "default") == "default"


@pytest.mark.parametrize(
    ("reader", "value"),
    [("flag", "perhaps"), ("number", "many"), ("networks", "10.0.0.0/99")],
)
def test_names_the_variable_that_has_a_bad_value(reader, value):
    environment = Environment({"SOME_NAME": value})
    arguments = ["SOME_NAME", 1] if reader == "number" else ["SOME_NAME"]

    with pytest.raises(BadSetting, match="SOME_NAME"):
        getattr(environment, reader)(*arguments)


def test_reads_words_without_blanks():
    assert Environment({"HOSTS": " a, b ,,c "}).words("HOSTS") == ["a", "b", "c"]


def test_keeps_the_path_of_the_socket_short_whatever_the_data_directory():
    path = embedded_socket(Path("/" + "very/" * 60 + "deep"))

    assert len(str(path)) < 100
    assert path != embedded_socket(Path("/elsewhere"))


DEFAULTS = {"recaptcha_v3": "https://google.example/verify", "turnstile": "https://cloudflare.example/verify"}
OURS = "http://127.0.0.1:8002/siteverify?a=b"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", DEFAULTS),
        (OURS, dict.fromkeys(DEFAULTS, OURS)),
        (f"turnstile={OURS}", DEFAULTS | {"turnstile": OURS}),
        (f" recaptcha_v3={OURS} , turnstile = {OURS},", dict.fromkeys(DEFAULTS, OURS)),
        (f'{{"turnstile": "{OURS}"}}', DEFAULTS | {"turnstile": OURS}),
        ("{}", DEFAULTS),
    ],
)
def test_reads_addresses_by_kind(value, expected):
    assert Environment({"SOME_NAME": value}).addresses("SOME_NAME", DEFAULTS) == expected


@pytest.mark.parametrize(
    "value",
    [
        "somewhere",
        "ftp://example.com/",
        "http://",
        "http://example.com:99999/",
        "https://a.example/,https://b.example/",
        f"riddle={OURS}",
        "turnstile=",
        "turnstile=somewhere",
        f"turnstile={OURS},somewhere",
        '{"turnstile": 5}',
        '{"turnstile": ["http://127.0.0.1/"]}',
        '{"riddle": "http://127.0.0.1/"}',
        '{"turnstile": "http://127.0.0.1/"',
    ],
)
def test_refuses_addresses_that_lead_nowhere(value):
    with pytest.raises(BadSetting, match=r"SOME_NAME .*[.]$"):
        Environment({"SOME_NAME": value}).addresses("SOME_NAME", DEFAULTS)


def mail_of(text, folder=Path("/data/mail")):
    return Environment({"EMAIL_URL": text}).mail("EMAIL_URL", folder)


def test_reads_where_mail_goes():
    starttls = mail_of("smtp://ada%40example.com:p%3Ass%2F@mail.example.com/?tls=1")
    assert starttls == {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": "mail.example.com",
        "EMAIL_PORT": 587,
        "EMAIL_HOST_USER": "ada@example.com",
        "EMAIL_HOST_PASSWORD": "p:ss/",
        "EMAIL_USE_TLS": True,
        "EMAIL_USE_SSL": False,
    }
    at_once = mail_of("smtps://mail.example.com:4650")
    assert (at_once["EMAIL_PORT"], at_once["EMAIL_USE_SSL"], at_once["EMAIL_USE_TLS"]) == (4650, True, False)
    assert mail_of("smtp://localhost")["EMAIL_PORT"] == 25
    assert mail_of("file:///var/mail%20out")["EMAIL_FILE_PATH"] == "/var/mail out"
    assert mail_of("")["EMAIL_FILE_PATH"] == "/data/mail"


@pytest.mark.parametrize(
    "text",
    [
        "nowhere",
        "smtp://",
        "smtp://u:s3cret@h:99999",
        "http://u:s3cret@h",
        "smtp://u:s3cret@h/?tls=s3cret",
        "smtps://h/?ssl=1",
    ],
)
def test_refuses_a_mail_address_it_does_not_understand_without_repeating_it(text):
    with pytest.raises(BadSetting, match="EMAIL_URL") as refusal:
        mail_of(text)

    assert "s3cret" not in str(refusal.value)
