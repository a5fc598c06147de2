"""The command line; only this package prints."""

from polyclinic.cli.app import main

__all__ = ["main"]
