"""What the templates of `templates/components/` take, as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """In the shape of components/_action.html."""

    label: str
    href: str
    kind: str = ""
    icon: str = ""
    post: bool = False
    confirm: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    """In the shape of components/_sentence.html. `tone`: quiet, notice, warning, danger or unknown."""

    tone: str
    text: str
    detail: str = ""
    actions: tuple[Action, ...] = ()
