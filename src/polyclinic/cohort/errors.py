"""What can be wrong with a cohort."""


class CohortError(ValueError):
    """A cohort that cannot be opened or written: where, why and what to do, never a patient's value."""
