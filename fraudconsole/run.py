"""`python -m fraudconsole.run`: what `make run` starts. One console on this machine, until Ctrl-C."""

import argparse
import contextlib
import errno
import os
import sys
from collections.abc import Sequence as Arguments

from fraudconsole.env import data_dir
from fraudconsole.launcher import Refusal, preflight
from fraudconsole.launcher.family import end_leftovers
from fraudconsole.launcher.first_start import prepare_environment
from fraudconsole.launcher.preflight import Plan
from fraudconsole.launcher.sequence import Ended, Sequence, Wishes, say

# Of the demo's people the one who may do everything; all share one password.
DEMO_EMAIL = "owner@demo.example"


def main(arguments: Arguments[str] | None = None) -> int:
    options = _parse(arguments)
    parent = os.environ.pop("END_WITH_PARENT", "")
    wishes = Wishes(parent=int(parent) if parent.isdigit() else None)
    wishes.listen()
    try:
        plan = preflight.make_plan(no_demo=options.no_demo)
        return _run(plan, options.minimum_free_mb, wishes)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
    except OSError as problem:
        if problem.errno != errno.ENOSPC:
            raise
        print(f"The disk of {data_dir()} is full. Free some space and start again.", file=sys.stderr)
    return 1


def _parse(arguments: Arguments[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make run ARGS=…", description="Runs the console on this machine.")
    parser.add_argument("--no-demo", action="store_true", help="no sandbox and no seeded workspace: for real use")
    parser.add_argument(
        "--minimum-free-mb",
        type=int,
        default=preflight.MINIMUM_FREE_MEGABYTES,
        help="refuse to start with less free space than this (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def _run(plan: Plan, minimum_free_mb: int, wishes: Wishes) -> int:
    preflight.make_data_directory(plan.data)
    preflight.require_space(plan.data, minimum_free_mb)
    held = preflight.take_directory(plan)
    try:
        leftovers = end_leftovers(plan.data / "launcher.json")
        if leftovers:
            say(f"Ended what an earlier start left running: {', '.join(leftovers)}.")
        preflight.require_port(plan.port, "PORT")
        if plan.has_sandbox:
            preflight.require_port(plan.sandbox_port, "SANDBOX_PORT")
        return _live(Sequence(plan, prepare_environment(plan), wishes))
    finally:
        os.close(held)


def _live(sequence: Sequence) -> int:
    """Up, on and down again, whatever happens in between."""
    say("Starting fraudconsole …")
    try:
        sequence.bring_up()
        say(_box(_facts(sequence.plan, sequence.values)))
        if sequence.plan.has_demo:
            sequence.seed()
        sequence.stay_up()
    except Ended:
        # A terminal that is gone must not keep the processes from being ended.
        with contextlib.suppress(OSError):
            say("\nStopping …")
    finally:
        sequence.take_down()
    with contextlib.suppress(OSError):
        say("Stopped. Your data is kept in " + str(sequence.plan.data))
    return 0


def _facts(plan: Plan, values: dict[str, str]) -> list[tuple[str, str]]:
    facts = [("Console", f"{plan.console_url}/")]
    if plan.has_sandbox:
        facts += [
            ("E-mail", DEMO_EMAIL),
            ("Password", values["DEMO_PASSWORD"]),
            ("Sandbox UponAI", plan.sandbox_url),
        ]
    else:
        facts.append(("First workspace", "./manage.py create_workspace --help"))
    return [*facts, ("Data and logs", str(plan.data)), ("Stop", "Ctrl-C")]


def _box(facts: list[tuple[str, str]]) -> str:
    label_width = max(len(label) for label, _ in facts)
    lines = [f" {label:<{label_width}}   {value} " for label, value in facts]
    width = max(len(line) for line in lines)
    edge = "─" * width
    return "\n".join([f"╭{edge}╮", *(f"│{line:<{width}}│" for line in lines), f"╰{edge}╯"])


if __name__ == "__main__":
    sys.exit(main())
