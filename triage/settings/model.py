"""The section `model`: which checkpoint scores, and on what."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import field_validator, model_validator

from triage.settings.section import Section


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
