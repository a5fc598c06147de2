"""Fill `<!-- commands -->` in the reference of the command line with the help of every command."""

from typing import Any

PLACEHOLDER = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the placeholder by the help of every command."""
    return markdown.replace(PLACEHOLDER, "\n".join(_commands())) if PLACEHOLDER in markdown else markdown


def _commands() -> list[str]:
    import typer
    from typer.testing import CliRunner

    from polyclinic.cli.app import app

    plain = typer.Typer(rich_markup_mode=None, add_completion=False)
    plain.registered_commands = app.registered_commands
    runner = CliRunner(env={"COLUMNS": "100"})
    names = [str(command.name) for command in app.registered_commands]
    return [f"## {name}\n\n```text\n{_help(runner.invoke(plain, [name, '--help']))}\n```\n" for name in names]


def _help(result: Any) -> str:
    if result.exit_code:
        raise result.exception
    return str(result.output).replace("Usage: root ", "Usage: polyclinic ").strip()
