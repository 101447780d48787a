"""The sections `study` and `worklist`: when a study is whole, and how long it may wait."""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from triage.core.anatomy import PartTable, check_key, place_of
from triage.settings.section import Seconds, Section


def _part(value: str) -> str:
    return place_of(value).value


PartKey = Annotated[str, AfterValidator(check_key)]
PartName = Annotated[str, AfterValidator(_part)]


class StudySettings(Section):
    quiet: Annotated[Seconds, Field(gt=0)] = 10
    limit: Annotated[Seconds, Field(gt=0)] = 600
    unknown_part: Literal["skip", "score"] = "skip"
    parts: dict[PartKey, PartName] = Field(default_factory=dict)

    @field_validator("parts")
    @classmethod
    def _consistent(cls, value: dict[str, str]) -> dict[str, str]:
        PartTable(value)  # raises ValueError with the keys that contradict each other
        return value

    @cached_property
    def part_table(self) -> PartTable:
        """What the words and codes for parts of the body mean at this site."""
        return PartTable(self.parts)


class WorklistSettings(Section):
    max_wait: Annotated[Seconds, Field(ge=0)] = 14400
