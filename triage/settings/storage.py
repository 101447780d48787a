"""The sections `database` and `spool`: where everything is kept."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from triage.core.retention import Allowance
from triage.settings.section import Seconds, Section


class DatabaseSettings(Section):
    url: str = "sqlite:///triage.db"
    auto_upgrade: bool = True

    @field_validator("url")
    @classmethod
    def _supported(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError(
                "give sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME"
                + (" (with +psycopg)" if value.startswith("postgres") else "")
            )
        if value.removeprefix("sqlite:///").partition("?")[0] in ("", ":memory:"):
            raise ValueError("SQLite needs a file: several processes share the database")
        return value


class SpoolSettings(Section):
    directory: Path = Path("spool")
    min_free: Annotated[int, Field(ge=0)] = 1073741824
    keep: Annotated[Seconds, Field(gt=0)] = 604800
    # Who raises min_free alone gets room between the two all the same.
    low_water: int = Field(default_factory=lambda data: 2 * data["min_free"])

    @field_validator("low_water")
    @classmethod
    def _above_min_free(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("min_free", 0):
            raise ValueError(
                f"must be at least spool.min_free ({info.data['min_free']}): below that nothing is "
                "received; leave it out for twice spool.min_free"
            )
        return value

    @property
    def allowance(self) -> Allowance:
        """What is left to the pixel data of read studies."""
        return Allowance(keep=self.keep, low_water=self.low_water)
