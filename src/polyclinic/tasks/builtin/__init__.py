"""Built-in tasks, one YAML file each, loaded lazily."""

from collections.abc import Iterator, Mapping

from polyclinic.tasks.task import Task, built_in_names


class _BuiltIn(Mapping[str, Task]):
    """Read-only mapping of names to tasks."""

    def __getitem__(self, name: str) -> Task:
        if name not in built_in_names():
            raise KeyError(name)
        return Task.load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(built_in_names())

    def __len__(self) -> int:
        return len(built_in_names())


BUILT_IN: Mapping[str, Task] = _BuiltIn()
