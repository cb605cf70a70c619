"""Triggers that hold KYC records to their transitions, whoever writes to the tables: a record moves by its next row.

Constraints look at one row, and so can say which pair of states is legal, not that a record has moved by such a pair.
Foreign keys over both tables could, but SQLite takes none after a table was made. No table of states is repeated here:
which pairs there are is what the transitions' own constraint says.

SQLite drops a table's triggers where a migration builds `accounts_kycrecord` or `accounts_kyctransition` anew, as it
does for most changes of columns and constraints, and refuses to while the other table's speak of it: such a migration
begins with RunPython(guards.take_down, guards.put_up) and ends with RunPython(guards.put_up, guards.take_down).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

RECORD: Final = "accounts_kycrecord"
TRANSITION: Final = "accounts_kyctransition"

# By the name that a refusal carries: the table, when, and what must hold of NEW (and OLD) then.
GUARDS: Final = MappingProxyType(
    {
        "kyc_record_begins_as_draft": (
            RECORD,
            "INSERT",
            "NEW.state = 'draft' AND NEW.moves = 0 AND NEW.came_from = ''",
        ),
        "kyc_record_moves_by_a_transition": (
            RECORD,
            "UPDATE",
            """(NEW.state = OLD.state AND NEW.moves = OLD.moves AND NEW.came_from = OLD.came_from)
            OR (NEW.moves = OLD.moves + 1 AND NEW.came_from = OLD.state AND EXISTS (
                SELECT 1 FROM accounts_kyctransition AS step WHERE step.record_id = NEW.id AND step.sequence = NEW.moves
                AND step.from_state = OLD.state AND step.to_state = NEW.state))""",
        ),
        "kyc_transition_is_the_next": (
            TRANSITION,
            "INSERT",
            """EXISTS (SELECT 1 FROM accounts_kycrecord AS held WHERE held.id = NEW.record_id
            AND held.state = NEW.from_state AND held.moves + 1 = NEW.sequence)""",
        ),
        "kyc_transition_stays": (
            TRANSITION,
            "UPDATE",
            """NEW.record_id = OLD.record_id AND NEW.sequence = OLD.sequence AND NEW.actor = OLD.actor
            AND NEW.from_state = OLD.from_state AND NEW.to_state = OLD.to_state""",
        ),
    }
)


def put_up(apps: Any, schema_editor: Any) -> None:
    """In place of those that are there."""
    take_down(apps, schema_editor)
    write = _in_postgresql if schema_editor.connection.vendor == "postgresql" else _in_sqlite
    for name, (table, event, condition) in GUARDS.items():
        for statement in write(name, table, event, condition):
            schema_editor.execute(statement)


def take_down(apps: Any, schema_editor: Any) -> None:
    for name, (table, _, _) in GUARDS.items():
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
            schema_editor.execute(f"DROP FUNCTION IF EXISTS {name}()")
        else:
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}")


def _in_sqlite(name: str, table: str, event: str, condition: str) -> list[str]:
    return [
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN NOT ({condition}) "
        f"BEGIN SELECT RAISE(ABORT, '{name}'); END"
    ]


def _in_postgresql(name: str, table: str, event: str, condition: str) -> list[str]:
    """As a check constraint refuses, so that Django raises what it raises for one."""
    return [
        f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NOT ({condition}) THEN
            RAISE EXCEPTION '{name}' USING ERRCODE = 'check_violation', CONSTRAINT = '{name}', TABLE = '{table}';
        END IF;
        RETURN NEW;
        END $$""",
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
    ]
