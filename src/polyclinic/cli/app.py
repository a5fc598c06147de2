"""The verbs, and how their errors become exit codes.

0: done. 1: done, but the answer is no (a strict ingest had rejects, golden outputs differ). 2: the command or its input
cannot be used; the message says what to change. 130: stopped by Ctrl-C. With 2 and 130 nothing is on standard output,
`--json` or not.
"""

import os
import sys
from typing import Any

import typer
from typer.core import TyperCommand

from polyclinic.cli import (
    assess,
    compare,
    demo,
    evaluate,
    explain_audit,
    ingest,
    predict,
    summary,
    tasks,
    train,
    verify,
)
from polyclinic.cli.console import err
from polyclinic.cli.explain import command as explain

app = typer.Typer(
    name="polyclinic",
    help="One model of the whole patient: from mixed patient data to a trained, honestly measured multimodal model.",
    epilog="Example: polyclinic demo --run",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for module in (demo, ingest, summary, tasks, train, evaluate, predict, assess, explain, compare, explain_audit, verify):
    module.register(app)


class Verb(TyperCommand):
    """A command whose help gives no type to what takes no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Give the options and arguments, and `--help`."""
        params: list[Any] = super().get_params(ctx)
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params


for command in app.registered_commands:
    command.cls = Verb


USAGE: Any = typer.BadParameter.__base__
"""What is wrong with the words of a command: click's error, or that of the click inside typer."""
STOPPED = 130


def main() -> None:
    """Run the command line, and exit with its code."""
    # Threads that wait for work by spinning slow a busy machine down many times over; must be said before torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = app(standalone_mode=False) or 0
    except USAGE as problem:
        problem.show()
        code = 2
    except (typer.Abort, KeyboardInterrupt):
        code = STOPPED
    except Exception as problem:
        if os.environ.get("POLYCLINIC_DEBUG"):
            raise
        err.print(f"error: {_plain(problem)}", style="red")
        code = 2
    if code == STOPPED:
        err.print("stopped; run the same command again to go on")
    sys.exit(code)


def _plain(problem: Exception) -> str:
    """Say what is wrong and what to do. An error that we did not write is not quoted: it might quote a patient."""
    from pydantic import ValidationError

    if isinstance(problem, ValidationError):
        return "; ".join(_fault(fault["loc"], fault["msg"], fault["input"]) for fault in problem.errors())
    if isinstance(problem, OSError | MemoryError) or _ours(problem):
        return str(problem) or type(problem).__name__
    return f"unforeseen {type(problem).__name__}: set POLYCLINIC_DEBUG=1 to see where, and report it"


def _fault(place: tuple[int | str, ...], message: str, given: object) -> str:
    """Say what a study, a task or a mapping has wrong: where, what was written there, and what it should be."""
    said = f" (it is {given!r})" if isinstance(given, str) else ""
    where = ".".join(map(str, place))
    return f"{where}: {message}{said}" if where else message.removeprefix("Value error, ")


def _ours(problem: Exception) -> bool:
    """Tell whether it was raised in this package, whose messages hold no patient data."""
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = str(trace.tb_frame.f_globals.get("__name__", "")) if trace is not None else ""
    return f"{type(problem).__module__}.".startswith("polyclinic.") or f"{raised_in}.".startswith("polyclinic.")
