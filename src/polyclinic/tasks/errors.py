"""Errors of this package."""


class TaskError(Exception):
    """A task is invalid, or its target leaks into the inputs; the message says what to change.

    Not a `ValueError`, so that pydantic does not wrap it when a `Task` is validated.
    """
