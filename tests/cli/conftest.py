"""How these tests call the command line: in this process, through the same `main` as the installed command."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from polyclinic.cli import main


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on standard output."""
        return json.loads(self.out)

    @property
    def refusal(self) -> str:
        """The message of a command that could not be used; a few lines at most, and nothing on standard output."""
        assert self.code == 2
        assert self.out == ""
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if not line.endswith(" …")]  # what was begun
        assert len(lines) <= 3
        assert lines[0].startswith("error: ")
        return "\n".join(lines).removeprefix("error: ")

    @property
    def usage(self) -> str:
        """The message of a command whose words do not go together, in one line; nothing on standard output."""
        assert self.code == 2
        assert self.out == ""
        assert "Usage: polyclinic" in self.err
        assert "Traceback" not in self.err
        return " ".join(self.err.replace("│", " ").split())


@pytest.fixture
def polyclinic(capsys, monkeypatch, cache) -> Callable[..., Done]:
    """Return the command."""

    def call(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["polyclinic", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, printed.out, printed.err)

    return call
