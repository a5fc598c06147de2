"""The one error of this package."""


class TaskError(Exception):
    """A task that cannot be asked as it is written, or would give the answer away; says what to change.

    Not a `ValueError`, so that pydantic lets it through unchanged when a `Task` is made.
    """
