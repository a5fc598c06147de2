"""Frozen dataclasses that are saved as JSON."""

from typing import Any, Self


class Record:
    """Mixin for frozen dataclasses of plain fields (numbers, text, tuples, dicts and records)."""

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        from pydantic import TypeAdapter

        plain: dict[str, Any] = TypeAdapter(type(self)).dump_python(self, mode="json")
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Self:
        """Build a record from JSON values; raise `ValueError` where a field is missing or of the wrong type."""
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_python(plain)

    def to_json(self, indent: int | None = 2) -> str:
        """Return the record as JSON text."""
        from pydantic import TypeAdapter

        return TypeAdapter(type(self)).dump_json(self, indent=indent).decode("utf-8")

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Build a record from JSON text; raise `ValueError` where it is not such a record."""
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_json(text)
