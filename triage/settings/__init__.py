"""The settings: what there is to set, with its type, its default and what is allowed.

Durations are seconds, sizes bytes; a relative path is relative to the working
directory. `triage.configuration` reads them. A module for each section or two.
"""

from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from triage.settings.dicom import DicomSettings, Peer
from triage.settings.model import ModelSettings
from triage.settings.report import ReportSettings
from triage.settings.storage import DatabaseSettings, SpoolSettings
from triage.settings.study import StudySettings, WorklistSettings
from triage.settings.web import WebSettings

__all__ = [
    "PREFIX",
    "DatabaseSettings",
    "DicomSettings",
    "ModelSettings",
    "Peer",
    "ReportSettings",
    "Settings",
    "SpoolSettings",
    "StudySettings",
    "WebSettings",
    "WorklistSettings",
]

PREFIX = "TRIAGE_"


class Settings(BaseSettings):
    """Everything that a site can set; `triage.toml` in the repository explains each key."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    database: DatabaseSettings = DatabaseSettings()
    spool: SpoolSettings = SpoolSettings()
    dicom: DicomSettings = DicomSettings()
    study: StudySettings = StudySettings()
    model: ModelSettings = ModelSettings()
    worklist: WorklistSettings = WorklistSettings()
    report: ReportSettings = ReportSettings()
    web: WebSettings = WebSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  fixed by pydantic-settings
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # What is passed is the file's content, and the environment overrides it.
        return env_settings, init_settings
