"""Reproducible skops archives, without memory addresses and dates."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

SCHEMA = "schema.json"


def canonical(archive: bytes) -> bytes:
    """Return an equivalent archive, compressed, with numbers instead of addresses and without dates."""
    with zipfile.ZipFile(io.BytesIO(archive)) as original:
        schema = json.loads(original.read(SCHEMA))
        names = _Names()
        names.rename(schema)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as result:
            for old, new in names.files.items():
                _write(result, new, original.read(old))
            _write(result, SCHEMA, json.dumps(schema).encode())
    return buffer.getvalue()


@dataclass
class _Names:
    """New numbers of objects and names of files, in order of appearance in the schema."""

    objects: dict[int, int] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def rename(self, node: Any) -> None:
        """Rename objects and files in a node and its children, in place."""
        if isinstance(node, dict):
            if isinstance(address := node.get("__id__"), int):
                node["__id__"] = self.objects.setdefault(address, len(self.objects) + 1)
            if isinstance(file := node.get("file"), str):
                node["file"] = self.files.setdefault(file, f"{len(self.files) + 1}{PurePath(file).suffix}")
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            self.rename(child)


def _write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name), content, compress_type=zipfile.ZIP_DEFLATED)
