"""Every Python, shell and YAML block of the README and of `docs/` does what it says it does.

The blocks of a page run in their order in one temporary folder, its Python blocks in one namespace.
"""

import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from polyclinic.cli import main
from polyclinic.ingest.table.mapping import TableMapping
from polyclinic.tasks import Task
from tests.docs.pages import CHECKED, ROOT, RUN, SHOWN, Block, blocks, pages, plain_commands

LONGEST_S = 300
BLOCKS = {page: blocks(page) for page in pages()}
NOT_RUN = [block for found in BLOCKS.values() for block in found if block.not_run]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page, found in BLOCKS.items() if found], ids=_name)
def test_page(page, workplace):
    namespace: dict[str, Any] = {"__name__": page.stem}
    output = ""
    for block in BLOCKS[page]:
        if block.language in CHECKED:
            _check_yaml(block)
        if block.title:
            (workplace / block.title).parent.mkdir(parents=True, exist_ok=True)
            (workplace / block.title).write_text(block.code, encoding="utf-8")
        elif block.language in RUN and not block.not_run:
            output = _run(block, namespace)
        elif block.printed:
            printed = {" ".join(line.split()) for line in output.splitlines()}
            shown = {" ".join(line.split()) for line in block.code.splitlines()}
            assert shown <= printed, block.place


@pytest.mark.parametrize("block", NOT_RUN, ids=[block.place for block in NOT_RUN])
def test_not_run(block):
    pytest.skip(" ".join(block.not_run.split()))


@pytest.mark.parametrize("page", BLOCKS, ids=_name)
def test_every_block_names_its_language(page):
    known = {*RUN, *CHECKED, *SHOWN}
    assert [block.place for block in BLOCKS[page] if block.language not in known and not block.title] == []


def _run(block: Block, namespace: dict[str, Any]) -> str:
    """Run a block, and return what its commands printed."""
    if block.language == "python":
        above = "\n" * (block.line - 1)  # so that a traceback shows the line of the page
        exec(compile(above + block.code, str(block.page), "exec"), namespace)
        return ""
    commands = plain_commands(block.code, "polyclinic")
    code, printed = _run_in_shell(block.code) if commands is None else _run_here(commands)
    print(printed)
    if code:
        pytest.fail(f"{block.place} ends with {code}:\n{printed}", pytrace=False)
    return printed


def _run_here(commands: list[list[str]]) -> tuple[int, str]:
    """Run commands in this process, which saves each the seconds that importing takes, until one fails."""
    printed, code = StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(printed):
        for command in commands:
            patch.setattr(sys, "argv", command)
            with pytest.raises(SystemExit) as ended:
                main()
            code = ended.value.code
            if code:
                break
    return code, printed.getvalue()


def _run_in_shell(script: str) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    return done.returncode, done.stdout


def _check_yaml(block: Block) -> None:
    """Validate what is recognisably a mapping, a task or a study; any other YAML must at least be YAML."""
    value = yaml.safe_load(block.code)
    keys = set(value) if isinstance(value, dict) else set()
    if "subject" in keys:
        TableMapping.model_validate(value)
    elif {"kind", "target"} <= keys:
        Task.from_yaml(block.code, where=block.place)
    elif "tasks" in keys:
        from polyclinic.study import Study

        Study.model_validate(value)
