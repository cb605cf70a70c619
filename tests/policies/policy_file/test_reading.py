"""The text of a policy file: what YAML could do to a reader is refused, with the line."""

import json
import time

import pytest

from policies.policy_file.problems import BadPolicyFile, TooLargeFile
from policies.policy_file.reading import LARGEST_BYTES, read_object, read_text

LAUGHS = "a: &a [lol, lol]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
)


def test_takes_words_as_they_are_written():
    text = """
        version: 1
        countries: [NO, no, on, yes, "FI", 'SE']
        dates: [2026-11-21, 12:30:00, 0x10, 0o7, 1_000, .inf, 1e9]
        numbers: [1, -2, 0.5]
        switches: [true, false, null, ~]
        +14155550100: a number keeps its plus
        "true": text
    """

    assert read_text(text).value == {
        "version": 1,
        "countries": ["NO", "no", "on", "yes", "FI", "SE"],
        "dates": ["2026-11-21", "12:30:00", "0x10", "0o7", "1_000", ".inf", "1e9"],
        "numbers": [1, -2, 0.5],
        "switches": [True, False, None, None],
        "+14155550100": "a number keeps its plus",
        "true": "text",
    }


def test_knows_the_line_of_every_field():
    lines = read_text("a: 1\nb:\n  c:\n    - x\n    - {d: 2}\n").lines

    assert lines == {(): 1, ("a",): 1, ("b",): 2, ("b", "c"): 3, ("b", "c", "0"): 4, ("b", "c", "1"): 5} | {
        ("b", "c", "1", "d"): 5
    }


def test_takes_json_and_a_byte_order_mark():
    value = {"version": 1, "policies": {"a b": {"inbound": {"countries": ["US"]}}}, "n": None}

    assert read_text(json.dumps(value)).value == value
    assert read_text("\ufeffa: é".encode()).value == {"a": "é"}


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        pytest.param(LAUGHS, "alias", 1, id="a billion laughs"),
        pytest.param("a: 1\nb: *a", "alias", 2, id="an alias of nothing"),
        pytest.param("a: !!python/object/apply:os.system [ls]", "tag", 1, id="a Python object"),
        pytest.param("a: !secret x", "tag", 1, id="a tag"),
        pytest.param("a:\n  <<: {b: 1}", "malformed", 2, id="a merge"),
        pytest.param("a: 1\nb: 2\na: 3", "duplicate", 3, id="a key twice"),
        pytest.param("a: 1\n---\nb: 2", "malformed", 2, id="two documents"),
        pytest.param("[" * 100_000, "too_deep", 1, id="deep and not closed"),
        pytest.param("[" * 900 + "]" * 900, "too_deep", 1, id="deep"),
        pytest.param("".join(" " * n + "a:\n" for n in range(500)), "too_deep", 13, id="deep blocks"),
        pytest.param("? [a]\n: 1", "malformed", 1, id="a list for a name"),
        pytest.param("a: 1\nb:\n\tc: 1", "malformed", 3, id="a tab"),
        pytest.param("a: 1\nb: [1", "malformed", 3, id="an open list"),
        pytest.param("a: 1\nb: \0", "malformed", 2, id="NUL"),
        pytest.param('a: "\\0"', "invalid", 1, id="NUL in disguise"),
        pytest.param("a: \ud800", "malformed", 1, id="half a character"),
        pytest.param(f"a: {'x' * 3000}", "too_long", 1, id="a long text"),
        pytest.param(b"a: 1\nb: \xff", "malformed", 2, id="not UTF-8"),
        pytest.param("a: 1".encode("utf-16"), "malformed", 1, id="UTF-16"),
        pytest.param("%YAML 9\n---\na: 1", "malformed", 1, id="another YAML"),
        pytest.param("", "empty", None, id="nothing"),
        pytest.param("# only a comment", "empty", None, id="a comment"),
    ],
)
def test_refuses_what_could_hurt_or_mislead(text, code, line):
    started = time.monotonic()

    with pytest.raises(BadPolicyFile) as refusal:
        read_text(text)

    (problem,) = refusal.value.problems
    assert (problem.code, problem.line) == (code, line), problem
    assert len(str(problem)) < 300
    assert time.monotonic() - started < 5


def test_refuses_ten_megabytes_unread():
    with pytest.raises(TooLargeFile, match="larger than 1 MiB"):
        read_text(b"- x\n" * (10 * LARGEST_BYTES // 4))


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (json.loads("[" * 100 + "]" * 100), "too_deep"),
        ({"a": {"b": "\0"}}, "invalid"),
        ({"a\0": 1}, "invalid"),
        ({"a": ["x" * 3000]}, "too_long"),
    ],
)
def test_looks_at_objects_as_closely(value, code):
    with pytest.raises(BadPolicyFile) as refusal:
        read_object(value)

    assert refusal.value.problems[0].code == code
