"""Something in a source that cannot be used, on its way to becoming a reject."""


class Unusable(ValueError):  # noqa: N818
    """A file or a record that cannot be used.

    `reason` is a short fixed phrase that can be counted, `remedy` says what to do, `line` where it was if known;
    none of them holds a value of the source.
    """

    def __init__(self, reason: str, remedy: str, line: int | None = None) -> None:
        super().__init__(f"{reason}: {remedy}")
        self.reason, self.remedy, self.line = reason, remedy, line
