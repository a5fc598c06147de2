"""The code blocks of a Markdown page, in their order.

A block whose info string has `title="NAME"` is the content of that file. Right before a block, an HTML comment
`<!-- not run: REASON -->` exempts it, and `<!-- as printed -->` says that the shell block before it prints these lines.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
RUN = ("python", "sh")
CHECKED = ("yaml",)
SHOWN = ("text", "")
_TITLE = re.compile(r'\btitle="(?P<title>[^"]+)"')
_PRINTED = re.compile(r"<!--\s*as printed\s*-->\s*")
_NOT_RUN = re.compile(r"<!--\s*not run:\s*(?P<reason>.+?)\s*-->\s*", re.DOTALL)

_SHELL = re.compile(r"[|&;<>()$`*?\[\]~{}!]|^\s*\w+=")


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is that of its first line of code, counted from 1."""

    page: Path
    line: int
    language: str
    code: str
    title: str | None = None
    not_run: str | None = None
    printed: bool = False

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    return [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.is_file()]


def blocks(page: Path) -> list[Block]:
    found, comment = [], None
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "fence":
            language, _, rest = token.info.strip().partition(" ")
            titled = _TITLE.search(rest)
            exempt = _NOT_RUN.fullmatch(comment or "")
            found.append(
                Block(
                    page,
                    token.map[0] + 2,
                    language,
                    token.content,
                    titled["title"] if titled else None,
                    exempt["reason"] if exempt else None,
                    bool(_PRINTED.fullmatch(comment or "")),
                )
            )
        comment = token.content if token.type == "html_block" else None
    return found


def plain_commands(script: str, program: str) -> list[list[str]] | None:
    """Split a script that only calls `program` into the words of its commands; None if it needs a shell."""
    lines = script.replace("\\\n", " ").splitlines()
    if any(_SHELL.search(line) for line in lines):
        return None
    commands = [words for words in (shlex.split(line, comments=True) for line in lines) if words]
    return commands if all(words[0] == program for words in commands) else None
