"""The verbs and their exit codes.

0: success. 1: negative result (rejects in a strict ingest, golden outputs that differ). 2: unusable command or input;
the message says what to change. 130: interrupted by Ctrl-C. With 2 and 130 standard output is empty.
"""

import os
import sys
from typing import Annotated, Any

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
    remove,
    summary,
    tasks,
    train,
    verify,
)
from polyclinic.cli.console import err
from polyclinic.cli.explain import command as explain
from polyclinic.compute.allocation import keep_freed_memory
from polyclinic.files import in_words

app = typer.Typer(
    name="polyclinic",
    help="One model of the whole patient: from mixed patient data to a trained, honestly measured multimodal model.",
    epilog="Example: polyclinic demo --run",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"polyclinic {version('polyclinic')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version, and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options of the program itself."""


for module in (
    demo,
    ingest,
    remove,
    summary,
    tasks,
    train,
    evaluate,
    predict,
    assess,
    explain,
    compare,
    explain_audit,
    verify,
):
    module.register(app)


class Verb(TyperCommand):
    """A command whose help shows no type for flags."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return options, arguments and `--help`, flags without a metavar."""
        params: list[Any] = super().get_params(ctx)
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params


for command in app.registered_commands:
    command.cls = Verb


USAGE: Any = typer.BadParameter.__base__
"""Usage error of click, or of the click bundled with typer."""
INTERRUPTED = 130


def main() -> None:
    """Run the command line, and exit with its code."""
    # Spinning threads slow a busy machine down; must be set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    try:
        code = app(prog_name="polyclinic", standalone_mode=False) or 0
    except USAGE as problem:
        problem.show()
        code = 2
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except Exception as problem:
        if os.environ.get("POLYCLINIC_DEBUG"):
            raise
        err.print(f"error: {_message(problem)}", style="red")
        code = 2
    if code == INTERRUPTED:
        err.print("stopped; run the same command again to go on")
    sys.exit(code)


def _message(problem: Exception) -> str:
    """Describe an error; messages from other packages are withheld, since they may quote patient data."""
    from pydantic import ValidationError

    if isinstance(problem, ValidationError):
        return "; ".join(_field_error(error["loc"], error["msg"], error["input"]) for error in problem.errors())
    if isinstance(problem, OSError):
        return in_words(problem)
    if isinstance(problem, MemoryError) or _is_ours(problem):
        return str(problem) or type(problem).__name__
    return f"unexpected {type(problem).__name__}: set POLYCLINIC_DEBUG=1 to see where, and report it"


def _field_error(place: tuple[int | str, ...], message: str, given: object) -> str:
    """Describe an invalid field of a study, task or mapping: where, what is expected, what was given."""
    value = f" (it is {given!r})" if isinstance(given, str) else ""
    where = ".".join(map(str, place))
    return f"{where}: {message}{value}" if where else message.removeprefix("Value error, ")


def _is_ours(problem: Exception) -> bool:
    """Return whether this package raised it; our messages hold no patient data."""
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = str(trace.tb_frame.f_globals.get("__name__", "")) if trace is not None else ""
    return f"{type(problem).__module__}.".startswith("polyclinic.") or f"{raised_in}.".startswith("polyclinic.")
