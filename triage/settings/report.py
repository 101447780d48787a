"""The section `report`: the preliminary reading of a normal study, in the site's own words."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from triage.core.report import ANY
from triage.core.studytype import StudyType
from triage.settings.section import Section

DEFAULT = """\
{{ study_type | capitalize }}{% if side %}, {{ side }}{% endif %}, {{ views }} {{ "view" if views == 1 else "views" }}:
no abnormality found (probability {{ "%.2f" | format(probability) }}, threshold {{ "%.2f" | format(threshold) }}).
"""


def _known(value: object) -> object:
    if value not in [*StudyType, ANY]:
        raise ValueError(f"give one of {', '.join(StudyType)} or {ANY}")
    return value


def _sound(value: str) -> str:
    if value != DEFAULT:
        # What most sites never set is not loaded by every command.
        from triage import reporting

        reporting.check(value)  # raises ValueError
    return value


ReportKey = Annotated[str, BeforeValidator(_known)]
Template = Annotated[str, AfterValidator(_sound)]


class ReportSettings(Section):
    normal: dict[ReportKey, Template] = Field(default_factory=lambda: {ANY: DEFAULT})
