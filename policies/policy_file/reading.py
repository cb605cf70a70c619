"""The text of a policy file as plain values, with the line of each. Knows YAML, and nothing of policies.

Of YAML it takes what a policy needs: no anchors and aliases (a few lines of them unfold into gigabytes), no tags, no
merging, no key twice. Plain words stay words: `NO` is Norway, and only `true`, `false` and `null` are more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from policies.policy_file.problems import BadPolicyFile, FileProblem, Path, TooLargeFile, dotted

LARGEST_BYTES: Final = 1024 * 1024
DEEPEST: Final = 12
_LONGEST_TEXT: Final = 2000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WHOLE_NUMBER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,14})")
_FRACTION: Final = re.compile(r"[-+]?[0-9]{1,15}\.[0-9]{1,15}")
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NOT_PRINTED: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_REFUSED_TAG: Final = "Tags (“!…”) are not part of a policy file. Leave it out; quote a text that begins with “!”."
_REFUSED_ALIAS: Final = (
    "Anchors and aliases (“&” and “*”) are not part of a policy file. Write it out where it is meant."
)


@dataclass(frozen=True, slots=True)
class Source:
    """What the file says, and in which line each part of it begins."""

    value: Any
    lines: dict[Path, int] = field(default_factory=dict)


def read_text(raw: bytes | str) -> Source:
    """Reads YAML, of which JSON is a part. Raises BadPolicyFile naming the line."""
    size = len(raw) if isinstance(raw, bytes) else len(raw.encode("utf-8", "surrogatepass"))
    if size > LARGEST_BYTES:
        raise TooLargeFile.one("", "too_large", f"The file is larger than {LARGEST_BYTES // 1024 // 1024} MiB.")
    text = _decoded(raw) if isinstance(raw, bytes) else raw
    try:
        return _Builder(text).whole()
    except yaml.MarkedYAMLError as trouble:
        raise _not_yaml(trouble, text) from None
    except (yaml.YAMLError, UnicodeError) as trouble:
        detail = f"The file cannot be read: {getattr(trouble, 'reason', 'it is not YAML')}."
        raise BadPolicyFile.one("", "malformed", detail, _line_of_bad_character(text)) from None


def read_object(value: Any) -> Source:
    """The same for a file that came as an object. Raises BadPolicyFile."""
    for path, part in _walk((), value):
        if len(path) > DEEPEST:
            raise BadPolicyFile.one(dotted(path[:3]), "too_deep", _too_deep())
        for text in [part] if isinstance(part, str) else list(part) if isinstance(part, dict) else []:
            _refuse_text(text, path, None)
    return Source(value)


class _Builder:
    """Makes values of the parser's events one by one: it keeps its place in a list, so no depth overflows a stack."""

    def __init__(self, text: str) -> None:
        self.events = yaml.parse(text, Loader=_LOADER)
        self.lines: dict[Path, int] = {}
        self.documents = 0
        self.result: Any = None

    def whole(self) -> Source:
        open_parts: list[_Part] = []
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._begin_document(event)
            elif isinstance(event, yaml.AliasEvent | yaml.NodeEvent):
                self._take(event, open_parts)
            elif isinstance(event, yaml.CollectionEndEvent):
                part = open_parts.pop()
                self._put(part.value, open_parts)
        if not self.documents:
            raise BadPolicyFile.one("", "empty", "The file is empty.")
        return Source(self.result, self.lines)

    def _begin_document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            raise BadPolicyFile.one(
                "", "malformed", "There is a second document (“---”) in the file; one is enough.", _line(event)
            )

    def _take(self, event: Any, open_parts: list[_Part]) -> None:
        path = open_parts[-1].next_path() if open_parts else ()
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise BadPolicyFile.one(dotted(path), "alias", _REFUSED_ALIAS, _line(event))
        if event.tag is not None:
            raise BadPolicyFile.one(dotted(path), "tag", _REFUSED_TAG, _line(event))
        is_key = bool(open_parts) and open_parts[-1].wants_key
        if isinstance(event, yaml.ScalarEvent):
            _refuse_text(event.value, path, _line(event))
            if is_key:
                self._begin_entry(event, open_parts[-1])
            else:
                self._note(path, event)
                self._put(_scalar(event), open_parts)
            return
        if is_key:
            raise BadPolicyFile.one(dotted(path), "malformed", "A name must be text.", _line(event))
        if len(open_parts) >= DEEPEST:
            raise BadPolicyFile.one(dotted(path[:3]), "too_deep", _too_deep(), _line(event))
        self._note(path, event)
        open_parts.append(_Part(path, {} if isinstance(event, yaml.MappingStartEvent) else []))

    def _begin_entry(self, event: Any, mapping: _Part) -> None:
        """A name: taken as it is written, so that a number keeps its plus sign and needs no quotes."""
        name = event.value
        path = (*mapping.path, name)
        if not name or (name == "<<" and not event.style):
            raise BadPolicyFile.one(
                dotted(mapping.path), "malformed", f"“{name}” is not a name that could stand here.", _line(event)
            )
        if name in mapping.value:
            detail = f"It is named twice; the first time in line {self.lines[path]}. Keep one."
            raise BadPolicyFile.one(dotted(path), "duplicate", detail, _line(event))
        mapping.key = name
        self.lines[path] = _line(event)

    def _note(self, path: Path, event: Any) -> None:
        self.lines.setdefault(path, _line(event))

    def _put(self, value: Any, open_parts: list[_Part]) -> None:
        if open_parts:
            open_parts[-1].put(value)
        else:
            self.result = value


@dataclass(slots=True)
class _Part:
    """A mapping or list that has begun and not ended."""

    path: Path
    value: Any
    key: str | None = None

    @property
    def wants_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None

    def next_path(self) -> Path:
        if isinstance(self.value, list):
            return (*self.path, str(len(self.value)))
        return self.path if self.key is None else (*self.path, self.key)

    def put(self, value: Any) -> None:
        if isinstance(self.value, list):
            self.value.append(value)
        else:
            self.value[self.key] = value
            self.key = None


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.style:  # quoted, or a block of text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) else text


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as trouble:
        line = raw[: trouble.start].count(b"\n") + 1
        raise BadPolicyFile.one("", "malformed", "The file is not UTF-8 text. Save it as UTF-8.", line) from None


def _not_yaml(trouble: yaml.MarkedYAMLError, text: str) -> BadPolicyFile:
    mark = trouble.problem_mark or trouble.context_mark
    line = mark.line + 1 if mark else None
    words = " ".join(str(part) for part in (trouble.context, trouble.problem) if part)
    written = text.splitlines()[line - 1] if line and line <= len(text.splitlines()) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        words = "a tab stands where YAML wants blanks"
    return BadPolicyFile.one("", "malformed", f"This is not YAML: {words}.", line)


def _line_of_bad_character(text: str) -> int | None:
    found = _NOT_PRINTED.search(text)
    return text[: found.start()].count("\n") + 1 if found else None


def _refuse_text(text: Any, path: Path, line: int | None) -> None:
    if not isinstance(text, str):
        raise BadPolicyFile.one(dotted(path), "malformed", "A name must be text.", line)
    if _NOT_PRINTED.search(text):
        raise BadPolicyFile([FileProblem(dotted(path), "invalid", "There is a character that no text has.", line)])
    if len(text) > _LONGEST_TEXT:
        detail = f"A text has at most {_LONGEST_TEXT} characters."
        raise BadPolicyFile([FileProblem(dotted(path), "too_long", detail, line)])


def _walk(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """Every part with its path, without recursion: what is too deep is to be refused, not to overflow a stack."""
    waiting = [(path, value)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, dict):
            waiting += [((*path, str(name)), part) for name, part in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, str(place)), part) for place, part in enumerate(value)]


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


def _too_deep() -> str:
    return f"The file is nested deeper than {DEEPEST} levels."
