"""Errors of ingestion: of a whole run, and of one record that cannot be used."""


class IngestError(ValueError):
    """The ingest as a whole cannot go on; the message says what was wrong, where, and what to do. No patient data."""


class RejectsError(IngestError):
    """A strict ingest was refused, since something in the source was rejected; the cohort is as it was."""


class UnreadableRecord(ValueError):  # noqa: N818
    """A file or a record that cannot be used.

    `reason` is a short fixed phrase that can be counted, `remedy` says what to do, `line` where it was if known;
    none of them holds a value of the source.
    """

    def __init__(self, reason: str, remedy: str, line: int | None = None) -> None:
        super().__init__(f"{reason}: {remedy}")
        self.reason, self.remedy, self.line = reason, remedy, line
