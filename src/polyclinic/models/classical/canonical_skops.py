"""Archives of skops without the memory addresses and dates that it leaves in them: the same model, the same bytes."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

SCHEMA = "schema.json"


def canonical(archive: bytes) -> bytes:
    """Give an archive of the same content in which addresses are numbered in their order, compressed and undated."""
    with zipfile.ZipFile(io.BytesIO(archive)) as written:
        schema = json.loads(written.read(SCHEMA))
        names = _Names()
        names.put_into(schema)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as anew:
            for old, new in names.files.items():
                _write(anew, new, written.read(old))
            _write(anew, SCHEMA, json.dumps(schema).encode())
    return buffer.getvalue()


@dataclass
class _Names:
    """New numbers for objects and new names for files, in the order in which the schema first mentions them."""

    objects: dict[int, int] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def put_into(self, node: Any) -> None:
        """Rename, in place, what the node and those beneath it mention."""
        if isinstance(node, dict):
            if isinstance(address := node.get("__id__"), int):
                node["__id__"] = self.objects.setdefault(address, len(self.objects) + 1)
            if isinstance(file := node.get("file"), str):
                node["file"] = self.files.setdefault(file, f"{len(self.files) + 1}{PurePath(file).suffix}")
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            self.put_into(child)


def _write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name), content, compress_type=zipfile.ZIP_DEFLATED)
