"""A model's outputs, stored, so that a machine that computes otherwise is noticed.

The document lies beside the checkpoint, ``model.json`` beside
``model.safetensors``:

    {"triage.outputs": 1, "model": "name version", "precision": "float32",
     "made_with": {"triage": "0.1.0", "torch": "2.11.0", "device": "cpu"},
     "specimens": {"black": 0.125},
     "pictures": [{"path": "hand.png", "sha256": "...", "probability": 0.875}]}

Paths of pictures are relative to the document. Nothing here needs torch.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from triage.errors import ModelUnusable, OutputUnwritable
from triage.model.card import explain
from triage.model.preprocess import read_picture
from triage.model.specimens import specimens

if TYPE_CHECKING:
    from triage.model.scorer import Scorer

MARK = "triage.outputs"  # the key by which such a document is known
FORMAT = 1

# How far a probability may lie from the stored one. Float32 strays by 2e-7 between the
# instruction sets of a CPU (SSE4.1, AVX2, AVX-512; DenseNet-169, 45 images); what a wrong
# kernel or a lossy mode does is far more.
TOLERANCE = {"float32": 1e-5, "bfloat16": 0.01, "float16": 0.01}

Probability = Annotated[float, Field(ge=0, le=1)]
Precision = Annotated[str, Field(pattern="^(float32|bfloat16|float16)$")]  # a key of TOLERANCE

_RULES = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, kw_only=True, config=_RULES)
class Picture:
    """One picture file and its probability."""

    path: str  # as it was named, or relative to the document
    sha256: str  # of the file
    probability: Probability


@dataclass(frozen=True, kw_only=True, config=_RULES)
class Outputs:
    """What a model gives on one machine."""

    model: str  # name and version
    precision: Precision
    made_with: dict[str, str]  # what may explain a difference
    specimens: dict[str, Probability]  # `triage.model.selfcheck.specimens`, by name
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Difference:
    """An output that is not the stored one."""

    what: str  # the specimen or picture
    stored: float
    found: float | None  # None: there is nothing to compare with
    reason: str = ""  # why there is nothing

    def __str__(self) -> str:
        """Say it in a line."""
        if self.found is None:
            return f"{self.what}: {self.reason}"
        return f"{self.what}: {self.found:.7f}, and {self.stored:.7f} is stored"


_OUTPUTS: TypeAdapter[Outputs] = TypeAdapter(Outputs)


def score_specimens(scorer: "Scorer") -> dict[str, float]:
    """Score the built-in images in one pass; by name."""
    pictures = specimens()
    scores = scorer.score([scorer.prepare(picture) for picture in pictures.values()])
    return dict(zip(pictures, scores, strict=True))


def measure(
    scorer: "Scorer", specimens: dict[str, float], pictures: Iterable[Path] = ()
) -> Outputs:
    """Return what a model gives here; what the built-in images came to is known already.

    Raises ViewUnreadable for a picture that cannot be read.
    """
    paths = list(pictures)
    probabilities = scorer.score([scorer.prepare(read_picture(path)) for path in paths])
    return Outputs(
        model=scorer.identity,
        precision=scorer.precision,
        made_with={
            "triage": version("triage"),
            scorer.backend: version(scorer.backend),
            "device": scorer.device,
        },
        specimens=specimens,
        pictures=tuple(
            Picture(path=str(path), sha256=_digest(path), probability=probability)
            for path, probability in zip(paths, probabilities, strict=True)
        ),
    )


def tolerance(*outputs: Outputs) -> float:
    """Return how far probabilities of these may lie apart."""
    return max(TOLERANCE[each.precision] for each in outputs)


def differences(stored: Outputs, found: Outputs) -> list[Difference]:
    """Name every stored output that is not found again.

    A picture is known by its bytes, whatever it is called.
    """
    allowed = tolerance(stored, found)
    pairs = [
        (name, value, found.specimens.get(name), "this version of triage has no such image")
        for name, value in stored.specimens.items()
    ]
    scored = {picture.sha256: picture.probability for picture in found.pictures}
    pairs += [
        (each.path, each.probability, scored.get(each.sha256), "the picture is not the stored one")
        for each in stored.pictures
    ]
    return [
        Difference(what=what, stored=value, found=other, reason=reason if other is None else "")
        for what, value, other, reason in pairs
        if other is None or abs(value - other) > allowed
    ]


def beside(checkpoint: Path) -> Path | None:
    """Return the document that lies beside a checkpoint, if there is one.

    A file of that name that is a document of something else is none.
    """
    path = checkpoint.with_suffix(".json")
    if not path.is_file():
        return None
    document = _parse(path)
    return path if isinstance(document, dict) and MARK in document else None


def read(path: Path) -> Outputs:
    """Read stored outputs, the pictures' paths as seen from the working directory.

    Raises ModelUnusable where the file cannot be read or holds something else.
    """
    document = _parse(path)
    if not isinstance(document, dict) or document.pop(MARK, None) != FORMAT:
        raise ModelUnusable(
            f"{path}: holds no outputs of a model in the format {FORMAT}; "
            "write some with `triage model check FILE --write`"
        )
    try:
        outputs = _OUTPUTS.validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise ModelUnusable(f"{path}: is damaged: {explain(error)}") from error
    return _with_paths(outputs, lambda name: os.path.normpath(path.parent / name))


def write(path: Path, outputs: Outputs) -> None:
    """Write outputs; the pictures' paths are made relative to the file. Raises OutputUnwritable."""
    here = path.absolute().parent
    moved = _with_paths(outputs, lambda name: os.path.relpath(name, here))
    document = {MARK: FORMAT, **_OUTPUTS.dump_python(moved, mode="json")}
    try:
        path.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise OutputUnwritable(f"{path}: cannot be written ({error.strerror or error})") from error


def _with_paths(outputs: Outputs, change: Callable[[str], str]) -> Outputs:
    pictures = tuple(replace(each, path=change(each.path)) for each in outputs.pictures)
    return replace(outputs, pictures=pictures)


def _parse(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ModelUnusable(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise ModelUnusable(
            f"{path}: is damaged, or holds no stored outputs: it is no JSON; "
            "`triage model check FILE --write FILE.json` writes them"
        ) from error


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
