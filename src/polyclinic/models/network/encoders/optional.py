"""Packages that only one encoder needs: each comes with the extra of that encoder's name."""

from importlib import import_module
from typing import Any


def import_optional(module: str, extra: str) -> Any:
    """Import a module of an optional package; raises ImportError that names the extra if it is not installed."""
    package = module.partition(".")[0]
    try:
        import_module(package)
    except ModuleNotFoundError as problem:
        if problem.name != package:
            raise
        raise ImportError(f"{extra} needs {package}: pip install 'polyclinic[{extra}]'") from problem
    return import_module(module)
