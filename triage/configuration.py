"""The settings of this site: read once, every mistake named.

Order of precedence: environment (``TRIAGE_STUDY__QUIET=5``), then the file,
then the defaults.
"""

import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from triage.errors import ConfigurationError
from triage.settings import PREFIX, Settings

SEARCHED = (Path("triage.toml"), Path("/etc/triage/triage.toml"))


def load(path: Path | None = None) -> Settings:
    """Read the settings from *path*, or the first file of `SEARCHED`, or the defaults alone.

    Raises ConfigurationError naming file, key, value and what is allowed.
    """
    if path is None:
        path = next(filter(_is_there, SEARCHED), None)
    content = {} if path is None else _read(path)
    _check_environment()
    try:
        return Settings(**content)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path)) from error
    except SettingsError as error:  # a list in the environment is written as JSON
        names = ", ".join(name for name in os.environ if name.startswith(PREFIX))
        raise ConfigurationError(
            f"environment: a list or table is not valid JSON ({error}); look at {names}, and "
            """write it like TRIAGE_DICOM__ALLOW='[{"ae_title": "PACS"}]'"""
        ) from error


def _is_there(place: Path) -> bool:
    """Look for a settings file.

    Whoever works as the service's user often stands in a folder of their own
    that is closed to it; that is no reason to fail. A closed /etc/triage is:
    the defaults would speak of another database.
    """
    try:
        return place.is_file()
    except PermissionError as error:
        if not place.is_absolute():
            return False
        raise ConfigurationError(
            f"{place}: cannot be read ({error.strerror}); run it as the service's user"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: there is no such file; see --config") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: is not valid TOML: {error}") from error


def _check_environment() -> None:
    """pydantic-settings passes over a variable that matches no key; here it is an error."""
    for name in os.environ:
        if not name.startswith(PREFIX):
            continue
        section, _, key = name.removeprefix(PREFIX).lower().partition("__")
        field = Settings.model_fields.get(section)
        if field is None:
            raise ConfigurationError(
                f"environment: {name}: there is no section {section!r}; "
                f"the sections are {', '.join(Settings.model_fields)}"
            )
        keys = field.annotation.model_fields if field.annotation else {}
        if key and key not in keys:
            raise ConfigurationError(
                f"environment: {name}: section {section} has no key {key!r}; "
                f"it has {', '.join(keys)}"
            )


def _explain(error: ValidationError, path: Path | None) -> str:
    lines = []
    for problem in error.errors():
        if problem["type"] == "default_factory_not_called":  # for want of another key's value
            continue
        place = [str(part) for part in problem["loc"]]
        # The environment holds a list or table whole, under the name of its key.
        name = PREFIX + "__".join(place[:2]).upper()
        if name in os.environ:
            source = f"environment: {'.'.join([name, *place[2:]])}"
        else:
            source = f"{path or 'settings'}: {'.'.join(place)}"
        if problem["type"] == "extra_forbidden":
            lines.append(f"{source}: there is no such key; see triage.toml for all of them")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{source}: {message} (it is {problem['input']!r})")
    return "\n".join(lines)
