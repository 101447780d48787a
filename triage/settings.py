"""The settings: what there is to set, with its type, its default and what is allowed.

Durations are seconds, sizes bytes; a relative path is relative to the working
directory. `triage.configuration` reads them.
"""

import re
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from triage.core.anatomy import PartTable, check_key, place_of
from triage.core.retention import Allowance

PREFIX = "TRIAGE_"


def _ae_title(value: str) -> str:
    if not value.strip() or len(value) > 16 or not value.isascii() or not value.isprintable():
        raise ValueError("an AE title has 1 to 16 printable ASCII characters (PS3.5 6.2)")
    if "\\" in value:
        raise ValueError("an AE title contains no backslash (PS3.5 6.2)")
    return value.strip()


def _part(value: str) -> str:
    return place_of(value).value


AETitle = Annotated[str, AfterValidator(_ae_title)]
PartKey = Annotated[str, AfterValidator(check_key)]
PartName = Annotated[str, AfterValidator(_part)]
TEN_YEARS = 315_360_000
Seconds = Annotated[float, Field(le=TEN_YEARS, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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


class Peer(Section):
    """An entry of the allow-list; what is left out admits any."""

    ae_title: AETitle | None = None
    address: str | None = None

    @field_validator("address")
    @classmethod
    def _address_or_network(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ip_network(value)
            except ValueError as error:  # of a host's name, too: names can be forged
                raise ValueError(
                    f"{error}; give an address (192.0.2.10) or a network (192.0.2.128/25)"
                ) from error
        return value

    @model_validator(mode="after")
    def _of_somebody(self) -> Self:
        if self.ae_title is None and self.address is None:
            raise ValueError("name an ae_title, an address or both; 0.0.0.0/0 is everybody")
        return self

    @cached_property
    def network(self) -> IPv4Network | IPv6Network | None:
        """The addresses that the entry admits; an IPv4 one may be written in IPv6's clothes."""
        if self.address is None:
            return None
        network = ip_network(self.address)
        if network.version == 6 and network.prefixlen >= 96:
            mapped = network.network_address.ipv4_mapped
            if mapped is not None:
                return ip_network((mapped, network.prefixlen - 96))
        return network


class DicomSettings(Section):
    host: str = "127.0.0.1"
    port: Port = 11112
    ae_title: AETitle = "TRIAGE"
    check_called_ae_title: bool = False
    # pynetdicom waits with select(), which knows no file above number 1023.
    max_associations: Annotated[int, Field(ge=1, le=500)] = 64
    max_associations_per_peer: Annotated[int, Field(ge=1, le=500)] = 48
    max_associations_per_second: Annotated[int, Field(ge=0, le=10_000)] = 100
    max_pdu_size: Annotated[int, Field(ge=4096, le=1048576)] = 131072
    max_object_size: Annotated[int, Field(ge=2**20, le=2**32)] = 2**30
    idle_timeout: Annotated[Seconds, Field(gt=0)] = 60
    allow: tuple[Peer, ...] = ()
    tls_certificate: str = ""
    # Looked at when they are left out, too: each may be what the other lacks.
    tls_key: Annotated[str, Field(validate_default=True)] = ""
    tls_client_ca: str = ""

    @field_validator("tls_key")
    @classmethod
    def _with_its_certificate(cls, value: str, info: ValidationInfo) -> str:
        certificate = info.data.get("tls_certificate", "")
        if certificate and not value:
            raise ValueError(
                f"name the file of the key that dicom.tls_certificate={certificate} goes with; or "
                "empty that setting, to go without TLS"
            )
        if value and not certificate:
            raise ValueError(
                "dicom.tls_certificate is empty: name the file of the certificate that this key "
                "goes with; or empty dicom.tls_key, to go without TLS"
            )
        return value

    @field_validator("tls_client_ca")
    @classmethod
    def _with_a_certificate_of_ours(cls, value: str, info: ValidationInfo) -> str:
        if value and not info.data.get("tls_certificate", ""):
            raise ValueError(
                "dicom.tls_certificate is empty: name the file of the port's own certificate; or "
                "empty dicom.tls_client_ca, to go without TLS"
            )
        return value


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


class ModelSettings(Section):
    path: str | tuple[str, ...] = ""
    sha256: str | tuple[str, ...] = ""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    backend: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    @field_validator("path", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        if isinstance(value, str) and value.startswith("["):
            # What the environment holds and is no JSON would else pass for a file's name.
            raise ValueError(
                """several checkpoints are a list like '["a.safetensors", "b.safetensors"]'"""
            )
        if isinstance(value, list | tuple):
            if not all(isinstance(name, str) and name for name in value):
                raise ValueError("give the name of a file for each checkpoint")
            if len(set(value)) < len(value):
                raise ValueError("a checkpoint stands there twice")
        return value

    @field_validator("sha256", mode="before")
    @classmethod
    def _hashes(cls, value: object) -> object:
        several = isinstance(value, list | tuple)
        hashes = tuple(value) if isinstance(value, list | tuple) else (value,)
        if not all(
            isinstance(each, str) and re.fullmatch("([0-9A-Fa-f]{64})?", each) for each in hashes
        ):
            raise ValueError(
                "a SHA-256 has 64 hexadecimal digits; `triage model list` shows a checkpoint's own"
            )
        lower = tuple(str(each).lower() for each in hashes)
        return lower if several else lower[0]

    @model_validator(mode="after")
    def _a_hash_for_each(self) -> Self:
        pins, files = len(self.pins), max(1, len(self.paths))
        if pins not in (0, files):
            raise ValueError(f"sha256 has {pins} hashes and path names {files} checkpoints")
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """The checkpoints, several being an ensemble; none takes what the package brings."""
        named = (self.path,) if isinstance(self.path, str) else self.path
        return tuple(name for name in named if name)

    @property
    def pins(self) -> tuple[str, ...]:
        """The SHA-256 that each checkpoint must have, "" where any will do; none: all of them."""
        if isinstance(self.sha256, tuple):
            return self.sha256
        return (self.sha256,) if self.sha256 else ()

    @property
    def exact(self) -> Self:
        """These settings for figures that are to be the same everywhere.

        What they leave open is torch in float32, whatever else would be faster here.
        """
        exact = {"backend": "torch", "precision": "float32"}
        return self.model_copy(
            update={key: value for key, value in exact.items() if getattr(self, key) == "auto"}
        )

    def naming(self, *paths: Path) -> Self:
        """Return these settings for checkpoints that somebody names: no hash is asked of them."""
        return self.model_copy(update={"path": tuple(map(str, paths)), "sha256": ""})


class WorklistSettings(Section):
    max_wait: Annotated[Seconds, Field(ge=0)] = 14400


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
