"""Errors of this package."""


class TaskError(Exception):
    """A task is invalid, or its target leaks into the inputs; the message says what to change.

    `key` is the field to change, where it is known. Not a `ValueError`, so that pydantic does not wrap it when a `Task`
    is validated.
    """

    def __init__(self, message: str, *key: str) -> None:
        super().__init__(message)
        self.key = key
