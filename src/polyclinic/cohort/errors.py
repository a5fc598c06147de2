"""Errors of reading and writing a cohort."""


class CohortError(ValueError):
    """A cohort cannot be opened or written; the message says where, why and what to do, without patient data."""
