"""What is wrong with a policy file: each problem names its field and, where the file is text, its line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]

MOST_PROBLEMS = 50
_LONGEST_PART = 60


@dataclass(frozen=True, slots=True)
class FileProblem:
    """`line` is None where there are no lines: of a file sent as an object, or where the trouble is the whole."""

    field: str
    code: str
    detail: str
    line: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return {"field": self.field, "code": self.code, "detail": self.detail, "line": self.line}

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.field}: {self.detail}" if self.field else f"{where}{self.detail}"


class BadPolicyFile(Exception):
    """The file cannot be planned or applied; nothing was changed."""

    def __init__(self, problems: Iterable[FileProblem]) -> None:
        self.problems = list(problems)[:MOST_PROBLEMS]
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def one(cls, field: str, code: str, detail: str, line: int | None = None) -> BadPolicyFile:
        return cls([FileProblem(field, code, detail, line)])


class TooLargeFile(BadPolicyFile):
    """It is larger than any policy file may be; it was not looked at."""


@dataclass(slots=True)
class Problems:
    """Collects what is wrong, so that one answer names every field."""

    lines: dict[Path, int] = field(default_factory=dict)
    found: list[FileProblem] = field(default_factory=list)

    def add(self, path: Path, code: str, detail: str) -> None:
        self.found.append(FileProblem(dotted(path), code, detail, self.line_of(path)))

    def line_of(self, path: Path) -> int | None:
        """The line of the field, or of the nearest thing around it that stands in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def raise_if_any(self) -> None:
        if self.found:
            raise BadPolicyFile(self.found)


def dotted(path: Path) -> str:
    return ".".join(shown(part) for part in path)


def shown(text: str) -> str:
    """What a stranger wrote is never repeated at length."""
    return text if len(text) <= _LONGEST_PART else f"{text[:_LONGEST_PART]}…"
