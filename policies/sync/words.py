"""The sync in a sentence: what is in order, what waits, what somebody has to look at."""

from __future__ import annotations

from datetime import datetime

from policies.models import SyncTarget
from policies.sync.connection import SENTENCES
from policies.sync.figures import Figures

State = SyncTarget.State
LONGEST_ERROR = 140


def tone(figures: Figures) -> str:
    """As components/_sentence.html has them."""
    if figures.key_refused_at or figures.states[State.FAILED] or figures.foreign or figures.missing:
        return "danger"
    if not figures.total:
        return "unknown"
    if figures.disconnected_at or figures.in_trouble or figures.flagged or figures.breaker.state == "open":
        return "warning"
    return "notice" if figures.waiting else "quiet"


def sentence(figures: Figures) -> str:
    """What stops all of them comes before what is to be said of some."""
    return _stopped(figures) or _counted(figures)


def detail(figures: Figures) -> str:
    """What stands in the way of all of them for the moment, or how they are while nothing is sent."""
    if _stopped(figures):
        return _counted(figures)
    if figures.breaker.until:
        pause = ago(figures.breaker.until, figures.now).replace("now", "in a moment")
        failures = figures.connection.failures if figures.connection else 0
        why = f"UponAI failed {_times(failures)} in a row" if failures else "UponAI asked us to wait"
        return f"{why}. Nothing is sent before the next try {pause}."
    return ""


def _stopped(figures: Figures) -> str:
    if figures.key_refused_at:
        return "UponAI refuses the key in use. Nothing is sent until there is another one; edits are kept until then."
    if figures.disconnected_at:
        return "The workspace is disconnected: nothing is sent to UponAI, nor asked there."
    return ""


def _counted(figures: Figures) -> str:
    if not figures.total:
        return "No phone numbers yet, so there is nothing to bring to UponAI."
    parts = _parts(figures)
    if not parts and figures.disconnected_at:
        return "Nothing waited when it ended; what UponAI has by now is not known."
    if not parts:
        if figures.total == 1:
            return "The one number is as UponAI has it."
        return f"All {figures.total:,} numbers are as UponAI has them."
    return "; ".join(parts) + "."


def ago(at: datetime, now: datetime) -> str:
    """ "10 min ago" or "in 40 s"."""
    seconds = (now - at).total_seconds()
    size = abs(seconds)
    if size < 1:
        return "now"
    unit, length = next((u, n) for u, n in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)) if size >= n)
    words = f"{int(size // length)} {unit}"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def _parts(figures: Figures) -> list[str]:
    parts = []
    if failed := figures.refused:
        parts.append(
            f"{failed:,} {_was(failed)} refused by UponAI and {_is(failed)} not tried again by {_itself(failed)}"
        )
    if waiting := figures.waiting:
        parts.append(f"{waiting:,} wait{'s' * (waiting == 1)} for UponAI{_why(figures)}")
    if figures.foreign:
        parts.append(_drifted(figures))
    if late := figures.late:
        parts.append(f"{late:,} {_was(late)} reversed by an older change of ours that arrived late; ours is sent again")
    if not_done := figures.not_done:
        parts.append(f"{not_done:,} still {_has(not_done)} other lists though UponAI said yes; ours is sent again")
    if missing := figures.missing:
        parts.append(f"{missing:,} {_is(missing)} not listed by UponAI any more")
    if flagged := figures.flagged:
        parts.append(f"{flagged:,} appeared at UponAI, and nobody has said yet what {_they(flagged)} may do")
    return parts


def _drifted(figures: Figures) -> str:
    drift, given_up = figures.foreign, figures.given_up
    since = f" {ago(figures.drift_since, figures.now)}" if figures.drift_since else ""
    told = f"{drift:,} {_was(drift)} changed in UponAI's dashboard{since}"
    if not given_up:
        return told
    return (
        f"{told}, and {given_up:,} {_is(given_up)} no longer put right: somebody else keeps changing {_them(given_up)}"
    )


def _why(figures: Figures) -> str:
    said = []
    if figures.last_error and figures.last_error not in SENTENCES.values():
        said.append(f"its last answer: {short(figures.last_error)}")
    if figures.next_due_at:
        due = figures.next_due_at
        said.append("trying now" if due <= figures.now else f"next try {ago(due, figures.now)}")
    return f" ({', '.join(said)})" if said else ""


def short(error: str) -> str:
    """An error as a part of a sentence: "UponAI answered 503." is "503"."""
    text = error.strip().rstrip(".").removeprefix("UponAI answered ")
    return text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR].rstrip()}…"


def _times(failures: int) -> str:
    return f"{failures} time{'s' * (failures != 1)}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def _itself(count: int) -> str:
    return "itself" if count == 1 else "themselves"


def _them(count: int) -> str:
    return "it" if count == 1 else "them"


def _they(count: int) -> str:
    return "it" if count == 1 else "they"
