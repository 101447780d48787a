"""What the program can do without, and the command that brings it into this very Python."""

import shlex
import sys

# As in pyproject.toml's optional dependencies.
EXTRAS = {
    "openvino": "openvino>=2026.4",
    "postgres": "psycopg[binary]>=3.2",
    "train": "tensorboard>=2.19",
}


def installing(extra: str, *, again: bool = False) -> str:
    """Return the command that installs one of EXTRAS; *again* where it is there and broken."""
    pip = f"{shlex.quote(sys.executable)} -m pip install"
    return f"{pip}{' --force-reinstall' if again else ''} {shlex.quote(EXTRAS[extra])}"
