"""A frozen dataclass that goes to JSON and comes back equal."""

from typing import Any, Self


class Record:
    """Mixed into frozen dataclasses of plain fields (numbers, text, tuples, dicts and further records)."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain lists, dicts, numbers and text, as JSON holds them."""
        from pydantic import TypeAdapter

        plain: dict[str, Any] = TypeAdapter(type(self)).dump_python(self, mode="json")
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Self:
        """Rebuild the record; raises `ValueError` where a field is missing or of the wrong kind."""
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_python(plain)

    def to_json(self, indent: int | None = 2) -> str:
        """Give the record as JSON text (without NaN or infinity, which JSON does not know)."""
        from pydantic import TypeAdapter

        return TypeAdapter(type(self)).dump_json(self, indent=indent).decode("utf-8")

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote; raises `ValueError` where the text is not such a record."""
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_json(text)
