"""The verbs, and how their errors become exit codes.

0: done. 1: done, but the answer is no (a strict ingest had rejects, a figure could not be estimated). 2: the command or
its input cannot be used; the message says what to change.
"""

import os
import sys

import click
import typer

from polyclinic.cli import compare, demo, evaluate, ingest, predict, summary, tasks, train
from polyclinic.cli.console import err

app = typer.Typer(
    name="polyclinic",
    help="One model of the whole patient: from mixed patient data to a trained, honestly measured multimodal model.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for module in (demo, ingest, summary, tasks, train, evaluate, predict, compare):
    module.register(app)


def main() -> None:
    """Run the command line, and exit with its code."""
    try:
        code = app(standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        err.print("stopped; run the same command again to go on")
        code = 130
    except (ValueError, OSError, MemoryError) as problem:
        if os.environ.get("POLYCLINIC_DEBUG"):
            raise
        err.print(f"[bold red]error:[/] {_plain(problem)}")
        code = 2
    sys.exit(code or 0)


def _plain(problem: BaseException) -> str:
    return (str(problem) or type(problem).__name__).replace("[", "\\[")
