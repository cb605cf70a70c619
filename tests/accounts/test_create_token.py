import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from accounts import tokens
from tests.factories import make_workspace, moment

pytestmark = pytest.mark.django_db


def create_token(*arguments: str) -> str:
    out = io.StringIO()
    call_command("create_token", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def demo():
    return make_workspace(slug="demo")


def test_prints_the_token_and_nothing_else(demo):
    printed = create_token("--workspace", "demo", "--scope", "*")

    assert printed.endswith("\n")
    token = tokens.find_token(printed.strip(), now=moment())
    assert (token.workspace, token.scopes, token.expires_at) == (demo, ["*"], None)


def test_gives_it_every_scope_that_is_named(demo):
    printed = create_token(
        *("--workspace", "demo", "--scope", "calls:read", "--scope", "usage:read", "--name", "Nightly report")
    )

    token = tokens.find_token(printed.strip(), now=moment())
    assert (token.name, token.scopes) == ("Nightly report", ["calls:read", "usage:read"])


@pytest.mark.parametrize(
    ("span", "length"),
    [
        ("90d", timedelta(days=90)),
        ("12h", timedelta(hours=12)),
        ("8w", timedelta(weeks=8)),
        ("5m", timedelta(minutes=5)),
    ],
)
def test_lets_it_end(demo, span, length):
    text = create_token("--workspace", "demo", "--scope", "*", "--expires", span).strip()

    token = tokens.find_token(text, now=moment())
    assert abs(token.expires_at - moment() - length) < timedelta(minutes=1)
    assert tokens.find_token(text, now=moment() + length) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workspace", "nowhere", "--scope", "*"], "no workspace 'nowhere'"),
        (["--workspace", "demo", "--scope", "everything"], "'everything' is not a scope"),
        (["--workspace", "demo", "--scope", "*", "--expires", "soon"], "must be a span such as 90d"),
        (["--workspace", "demo", "--scope", "*", "--expires", "0d"], "must be a span such as 90d"),
        (["--workspace", "demo", "--scope", "*", "--expires", "-1d"], "must be a span such as 90d"),
        (["--workspace", "demo", "--scope", "*", "--expires", "999999w"], "too far ahead"),
        (["--workspace", "demo", "--scope", "*", "--name", " "], "1 to 80 characters"),
    ],
)
def test_refuses_in_a_sentence(demo, arguments, words):
    joined = [f"{name}={value}" for name, value in zip(arguments[::2], arguments[1::2], strict=True)]

    with pytest.raises(CommandError, match=words) as refusal:
        create_token(*joined)

    assert refusal.value.returncode == 1
