"""What somebody should know now, read from the rows of the rooms below: of every workspace at once, few queries.

Many of one kind in one workspace become one condition that counts them, so that a storm is one message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, F, Min, Q, QuerySet, Sum
from django.urls import NoReverseMatch, reverse

from accounts.models import Workspace
from accounts.scoping import unscoped
from monitoring.models import AgentSeen, Alert, Call, Relay
from monitoring.relays import shown_url
from policies import words
from policies.admin.hold_words import what
from policies.models import Open, PhoneNumber, SyncTarget, UponaiConnection
from policies.sync.comparing import is_given_up

Kind, State = Alert.Kind, SyncTarget.State

MOST_SINGLE: Final = 5
"""So many of a kind are told of one by one in a workspace; more are one alert with their number."""
MANY: Final = "many"

OPEN_SHORTEST, OPEN_LONGEST = timedelta(minutes=5), timedelta(hours=1)
UNGATED_FOR: Final = timedelta(hours=6)
"""An alert of calls around the gate ends when there was none for so long. Events and lists come late at times."""
RELAY_PATIENCE: Final = timedelta(minutes=2)
"""Three tries have failed by then; a receiver that is restarted is no alert."""
MISSED_FOR: Final = timedelta(hours=24)
STOPPED_SHOWN_FOR: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that lasts, told apart by workspace, kind and `about`."""

    workspace_id: int
    kind: str
    about: str
    sentence: str
    path: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[int, str, str]:
        return self.workspace_id, self.kind, self.about


def present(*, now: datetime) -> list[Condition]:
    """Everything that lasts at this moment."""
    with unscoped(reason="alerts are raised for every workspace"):
        return [condition for read in _READERS for condition in read(now)]


# --- One reader for each kind ---------------------------------------------------------------------


def _key_refused(now: datetime) -> Iterable[Condition]:
    for row in UponaiConnection.objects.filter(key_refused_at__isnull=False, disconnected_at=None):
        sentence = (
            "UponAI refuses this workspace's key. Nothing is sent to UponAI until there is a new one; "
            "edits wait and are applied then."
        )
        path = link("admin:accounts_workspace_changelist")
        yield Condition(row.workspace_id, Kind.KEY_REFUSED, "", sentence, path)


def _sync_stopped(now: datetime) -> Iterable[Condition]:
    rows = SyncTarget.objects.filter(state=State.DRIFT, due_at=None).exclude(reasserted_at=[])
    yield from _bundled(
        Kind.SYNC_STOPPED,
        rows.select_related("phone_number"),
        about=lambda row: row.phone_number.e164,
        sentence=lambda row: (
            f"Somebody keeps changing {_number(row.phone_number)} at UponAI. "
            "The console put it right three times within an hour and has stopped; a person has to decide."
        ),
        path=lambda row: _number_page(row.phone_number),
        many=lambda count: f"{count} numbers are changed again and again at UponAI. A person has to decide.",
        many_path=_numbers(State.DRIFT),
        keep=is_given_up,
    )


def _sync_failed(now: datetime) -> Iterable[Condition]:
    rows = SyncTarget.objects.filter(state=State.FAILED, phone_number__missing_since=None)
    yield from _bundled(
        Kind.SYNC_FAILED,
        rows.select_related("phone_number"),
        about=lambda row: row.phone_number.e164,
        sentence=lambda row: f"UponAI does not take the settings of {_number(row.phone_number)}: {_said(row.error)}",
        path=lambda row: _number_page(row.phone_number),
        many=lambda count: f"UponAI does not take the settings of {count} numbers.",
        many_path=_numbers(State.FAILED),
    )


def _flagged(now: datetime) -> Iterable[Condition]:
    rows = PhoneNumber.objects.filter(flagged_since__isnull=False, missing_since=None)
    yield from _bundled(
        Kind.NUMBER_FLAGGED,
        rows,
        about=lambda row: row.e164,
        sentence=lambda row: (
            f"{_number(row)} appeared at UponAI. It stays as it was found until somebody says what it may do."
        ),
        path=_number_page,
        many=lambda count: f"{count} numbers appeared at UponAI. They stay as found until somebody says what they may.",
        many_path=link("admin:policies_phonenumber_changelist"),
    )


def _open_ends(now: datetime) -> Iterable[Condition]:
    rows = Open.objects.filter(settled_at=None, closed_at=None, expires_at__gt=now, expires_at__lte=now + OPEN_LONGEST)
    found = [row for row in rows.order_by("pk") if now >= warned_from(row)]
    grouped: dict[int, list[Open]] = {}
    for row in found:
        grouped.setdefault(row.workspace_id, []).append(row)
    for workspace_id, opens in grouped.items():
        if len(opens) > MOST_SINGLE:
            said = f"{len(opens)} opens end soon; policies decide again then."
            yield Condition(workspace_id, Kind.OPEN_ENDS, MANY, said, link("admin:policies_open_changelist"))
            continue
        for row in opens:
            sentence = (
                f"An open is about to end: {what(row)}, opened by {row.opened_by} (“{row.reason}”). "
                "Policies decide again then; open it once more to keep it open."
            )
            details = {"ends_at": row.expires_at.isoformat()}
            # Opened for longer it is another matter, and is warned of anew.
            about = f"{row.pk}:{int(row.expires_at.timestamp())}"
            path = link("admin:policies_open_change", row.pk)
            yield Condition(row.workspace_id, Kind.OPEN_ENDS, about, sentence, path, details)


def warned_from(row: Open) -> datetime:
    """A tenth of its length before its end, but neither less than five minutes nor more than an hour."""
    tenth = (row.expires_at - row.opened_at) / 10
    return row.expires_at - max(OPEN_SHORTEST, min(tenth, OPEN_LONGEST))


def _ungated(now: datetime) -> Iterable[Condition]:
    # By workspace, since that is how the index of ungated calls begins.
    everywhere = list(Workspace.objects.values_list("pk", flat=True))
    calls = Call.objects.filter(
        workspace_id__in=everywhere,
        gating=Call.Gating.UNGATED,
        started_at__gte=now - UNGATED_FOR,
        started_at__lte=now + UNGATED_FOR,
    )
    found = calls.values("workspace_id", "way_around").annotate(
        calls=Count("pk"), first=Min("started_at"), cents=Sum("cost_cents")
    )
    for row in found.order_by("workspace_id", "way_around"):
        count, way = row["calls"], row["way_around"]
        label = Call.WayAround(way).label if way in Call.WayAround.values else ""
        said = label[:1].lower() + label[1:] if way in Call.WayAround.values else "how is not known"
        sentence = (
            f"{count} call{'s' * (count != 1)} or chat{'s' * (count != 1)} at UponAI did not pass the gate: {said}. "
            "No policy was asked about them."
        )
        details = {"calls": count, "first_at": row["first"].isoformat(), "usd": float(row["cents"] or 0) / 100}
        yield Condition(row["workspace_id"], Kind.UNGATED, way, sentence, link("ungated-page"), details)


def _events_missing(now: datetime) -> Iterable[Condition]:
    silent = Q(last_event_at=None) | Q(last_event_at__lt=F("missed_at"))
    rows = AgentSeen.objects.filter(silent, missed__gt=0, missed_at__gte=now - MISSED_FOR)
    path = link("admin:monitoring_agentseen_changelist")
    yield from _bundled(
        Kind.EVENTS_MISSING,
        rows,
        about=lambda row: row.agent,
        sentence=lambda row: (
            f"The events of agent {row.agent} do not arrive: UponAI's list has {row.missed} "
            f"call{'s' * (row.missed != 1)} of it that no webhook told of. It may have a webhook of its own at UponAI, "
            "which replaces the account's."
        ),
        path=lambda row: path,
        many=lambda count: f"The events of {count} agents do not arrive.",
        many_path=path,
    )


def _relay_failed(now: datetime) -> Iterable[Condition]:
    failing = Q(stopped_at=None, failing_since__lte=now - RELAY_PATIENCE)
    given_up = Q(failing_since__isnull=False, stopped_at__gte=now - STOPPED_SHOWN_FOR)
    for row in Relay.objects.filter(failing | given_up).order_by("pk"):
        if row.stopped_at:
            sentence = f"Events are no longer passed on to {shown_url(row.url)}: {row.last_error}"
        else:
            sentence = f"Events cannot be passed on to {shown_url(row.url)}: {row.last_error} They are tried again."
        path = link("admin:monitoring_relay_change", row.pk)
        yield Condition(row.workspace_id, Kind.RELAY_FAILED, str(row.pk), sentence, path)


_READERS: Final = (
    _key_refused,
    _sync_stopped,
    _sync_failed,
    _flagged,
    _open_ends,
    _ungated,
    _events_missing,
    _relay_failed,
)


# --- What the readers share -----------------------------------------------------------------------


def _bundled(
    kind: str,
    rows: QuerySet[Any],
    *,
    about: Callable[[Any], str],
    sentence: Callable[[Any], str],
    path: Callable[[Any], str],
    many: Callable[[int], str],
    many_path: str,
    keep: Callable[[Any], bool] | None = None,
) -> Iterable[Condition]:
    """One by one where a workspace has few of them, counted where it has many: two queries either way."""
    if keep is None:
        counts = dict(rows.order_by("workspace_id").values_list("workspace_id").annotate(count=Count("pk")))
    else:
        counts = Counter(row.workspace_id for row in rows if keep(row))
    for workspace_id, count in counts.items():
        if count > MOST_SINGLE:
            yield Condition(workspace_id, kind, MANY, many(count), many_path, {"count": count})
    few = [workspace_id for workspace_id, count in counts.items() if count <= MOST_SINGLE]
    if few:
        for row in rows.filter(workspace_id__in=few).order_by("workspace_id", "pk"):
            if keep is None or keep(row):
                yield Condition(row.workspace_id, kind, about(row)[:200], sentence(row), path(row))


def link(name: str, *arguments: object) -> str:
    """A page's address; empty where no such page is installed."""
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return ""


def _number(number: PhoneNumber) -> str:
    written = words.as_people_write(number.e164)
    return f"{written} ({number.nickname})" if number.nickname else written


def _number_page(number: PhoneNumber) -> str:
    return link("admin:policies_phonenumber_change", number.pk)


def _numbers(state: str) -> str:
    return f"{link('admin:policies_phonenumber_changelist')}?sync_target__state__exact={state}"


def _said(error: str) -> str:
    text = error.strip() or "it did not say why."
    return text if text.endswith((".", "!", "?")) else f"{text}."
