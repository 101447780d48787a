"""Triage: reads upper-extremity radiographs as they arrive and orders the reading worklist."""

from importlib.metadata import version

__version__ = version("triage")
