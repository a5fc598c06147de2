"""Errors of ingestion: of a whole run, and of a single record."""


class IngestError(ValueError):
    """The ingest cannot continue; the message says what was wrong, where, and what to do, without patient data."""


class RejectsError(IngestError):
    """A strict ingest was refused because of rejects; the cohort is unchanged."""


class UnreadableRecord(ValueError):  # noqa: N818
    """A file or record cannot be used.

    `reason` is a short fixed phrase that can be counted, `remedy` says what to do, and `line` is the line number, if
    known; none of them contains a value of the source.
    """

    def __init__(self, reason: str, remedy: str, line: int | None = None) -> None:
        super().__init__(f"{reason}: {remedy}")
        self.reason, self.remedy, self.line = reason, remedy, line
