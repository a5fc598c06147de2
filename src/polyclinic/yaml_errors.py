"""Read users' YAML without implicit types, and describe errors with line, key and choices."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

Key = tuple[str, ...]


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the former is quicker, and not built everywhere


class FieldError(ValueError):
    """A fault of several fields together; `key` is the one to change, so that `describe` finds its line."""

    def __init__(self, message: str, *key: str) -> None:
        super().__init__(message)
        self.key = key


class _TextLoader(_Loader):  # type: ignore[misc]
    """Reads all scalars but null as text, so that the category `NO` is not False, nor `007` 7."""


_TextLoader.yaml_implicit_resolvers = {}
_TextLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(null|~|)$"), ["n", "~", ""])


def parse(text: str, file: str, error_type: type[Exception] = ValueError) -> tuple[Any, Mapping[Key, int]]:
    """Parse YAML, returning its value and the line of each key.

    Raises:
        error_type: not YAML, or a key is repeated.
    """
    try:
        loader = _TextLoader(text)
        node = loader.get_single_node()
        lines = dict(_lines(node, (), file, set(), error_type)) if node else {}
        return (loader.construct_document(node) if node else {}), lines
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise error_type(f"{file} line {line}: not YAML ({error.problem}): check indentation and quotes") from None
    except yaml.YAMLError:
        raise error_type(f"{file}: not YAML: check that it is a text file in UTF-8") from None


def _lines(
    node: yaml.Node, key: Key, file: str, visited: set[int], error_type: type[Exception]
) -> Iterator[tuple[Key, int]]:
    yield key, node.start_mark.line + 1
    if id(node) in visited:  # an alias: nested aliases would grow exponentially
        return
    visited.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            yield from _lines(item, (*key, str(position)), file, visited, error_type)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name, value in node.value:
            line = name.start_mark.line + 1
            if not isinstance(name, yaml.ScalarNode):
                raise error_type(f"{file} line {line}: a key must be a name")
            if name.value in seen:
                raise error_type(f"{file} line {line}: key {name.value!r} is there twice: remove one")
            seen.add(name.value)
            yield from _lines(value, (*key, name.value), file, visited, error_type)
            yield (*key, name.value), line


def describe(error: ValidationError, model: type[BaseModel], lines: Mapping[Key, int], file: str) -> str:
    """Describe each error in one line, with its location and remedy."""
    messages = []
    for problem in error.errors(include_url=False, include_input=False):
        cause = problem.get("ctx", {}).get("error")
        within = cause.key if isinstance(cause, FieldError) else ()
        key = (*(str(part) for part in problem["loc"] if part != "[key]"), *within)
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = f"unknown key: choose from {', '.join(sorted(_choices(model, key)))}"
        location = f"{file} line {line_of(key, lines)}"
        messages.append(f"{location}: {'.'.join(key)}: {message}" if key else f"{location}: {message}")
    return "\n".join(messages)


def line_of(key: Key, lines: Mapping[Key, int]) -> int:
    """Return the line of a key, or of the nearest key above it that is written."""
    return next((lines[key[:n]] for n in range(len(key), -1, -1) if key[:n] in lines), 1)


def _choices(model: type[BaseModel], key: Key) -> list[str]:
    parts = list(key[:-1])
    while parts:
        annotation = model.model_fields[parts.pop(0)].annotation
        if get_origin(annotation) in (dict, list, tuple) and parts:
            parts.pop(0)
        model = next(found for found in _models(annotation))
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
