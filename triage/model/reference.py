"""The reference model that comes with the package, used where `model.path` is empty.

`triage/model/reference` holds its checkpoint and, beside it, what it gave where
it was made (`triage.model.stored`).
"""

from pathlib import Path

FOLDER = Path(__file__).with_name("reference")


def packaged() -> Path | None:
    """Return its checkpoint; None where the package has none."""
    return min(FOLDER.glob("*.safetensors"), default=None)
