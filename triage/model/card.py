"""The card of a model: what the weights are and how they are to be used.

It travels in the metadata of the checkpoint itself, one JSON document under
one key, so that weights and card cannot be parted. Nothing here needs torch:
the receiver and `triage doctor` read cards too.

The layout of a safetensors file (huggingface/safetensors, README, "Format"):
the header's length as a little-endian 64-bit integer, the header in JSON, then
the tensors' bytes.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from triage.core.studytype import StudyType
from triage.errors import ModelUnusable
from triage.model.reference import packaged
from triage.settings import ModelSettings

METADATA_KEY = "triage.card"
FORMAT = 1  # raised when a reader of the former format would misunderstand a card
MAX_HEADER = 16 << 20  # bytes; DenseNet-169 needs 0.1 MB

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def _line(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise ValueError("give one line of printable characters without blanks around it")
    return text


def _distinct(types: tuple[StudyType, ...]) -> tuple[StudyType, ...]:
    if len(set(types)) < len(types):
        raise ValueError("a study type stands there twice")
    return types


Line = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_line)]
Sentence = Annotated[str, Field(min_length=1, max_length=4000)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Threshold = Annotated[float, Field(gt=0, lt=1)]
StudyTypes = Annotated[tuple[StudyType, ...], AfterValidator(_distinct)]
Resize: TypeAlias = Literal["squeeze", "pad"]

_RULES = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, kw_only=True, config=_RULES)
class Preprocessing:
    """How a grey image becomes the network's input."""

    size: Annotated[int, Field(ge=32, le=1024)] = 224  # pixels, height and width of the input
    # squeeze: the whole image is scaled to the square, its aspect lost (the paper's way);
    # pad: the long side is scaled, black fills the rest on both sides.
    resize: Resize = "squeeze"
    mean: tuple[Finite, Finite, Finite] = IMAGENET_MEAN  # subtracted; of intensities 0 to 1
    std: tuple[Positive, Positive, Positive] = IMAGENET_STD  # divided by; same scale


@dataclass(frozen=True, kw_only=True, config=_RULES)
class Card:
    """What a checkpoint says of itself; a mistake in a field raises ValueError."""

    name: Line
    version: Line
    training_data: Sentence  # what it was trained on, with its source
    licence: Sentence  # of the weights
    architecture: Line = "densenet169"  # a key of `triage.model.densenet.ARCHITECTURES`
    preprocessing: Preprocessing = Preprocessing()
    accepted: Annotated[StudyTypes, Field(min_length=1)] = tuple(StudyType)  # others go unscored
    measured: StudyTypes = ()  # those that `figures` speak of
    threshold: Threshold = 0.5  # a probability strictly above it is abnormal
    thresholds: dict[StudyType, Threshold] = Field(default_factory=dict)  # where a type has its own
    temperature: Positive = 1.0  # every logit is divided by it (Guo et al. 2017, section 4.2)
    figures: dict[Line, Finite] = Field(default_factory=dict)  # measured, by name: {"auroc": 0.9}
    # How it was made, by name: of `triage train` its options, {"batch": 8}; empty of an import.
    recipe: dict[Line, bool | int | Finite | str] = Field(default_factory=dict)
    # What temperature and thresholds were fitted to; empty where nobody did.
    calibration: str = ""
    intended_use: str = ""
    known_failures: str = ""  # what its probabilities are not to be trusted in

    @property
    def identity(self) -> str:
        """Name and version, as the worklist's column `model` shows them."""
        return f"{self.name} {self.version}"

    def threshold_for(self, study_type: StudyType | None) -> float:
        """Return the threshold of a study type, or the overall one where it has none."""
        if study_type is None:
            return self.threshold
        return self.thresholds.get(study_type, self.threshold)


_CARD: TypeAdapter[Card] = TypeAdapter(Card)


def card_from(fields: dict[str, Any]) -> Card:
    """Return a valid card, or raise ValueError naming every field that is wrong."""
    try:
        return _CARD.validate_python(fields)
    except ValidationError as error:
        raise ValueError(explain(error)) from error


def to_document(card: Card) -> dict[str, Any]:
    """Return the card as plain values, ready for JSON."""
    document: dict[str, Any] = _CARD.dump_python(card, mode="json")
    return document


def to_metadata(card: Card) -> dict[str, str]:
    """Return the safetensors metadata that `card_of` reads back."""
    return {METADATA_KEY: json.dumps({"format": FORMAT} | to_document(card), ensure_ascii=False)}


def explain(error: ValidationError) -> str:
    """Name every field that is wrong, its value and what is allowed."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        + ("" if problem["type"] == "missing" else f" (it is {problem['input']!r:.80})")
        for problem in error.errors()
    )


def chosen_paths(settings: ModelSettings) -> tuple[Path, ...]:
    """Return the checkpoints that the settings name, or the packaged reference model.

    Raises ModelUnusable where they name none and the package has none.
    """
    if settings.paths:
        return tuple(Path(name) for name in settings.paths)
    reference = packaged()
    if reference is None:
        raise ModelUnusable(
            "model.path is empty and no reference model came with this package, so there is no "
            "model; set it in triage.toml, or TRIAGE_MODEL__PATH in the environment, to a "
            "checkpoint with a card (`triage model import` makes one)"
        )
    return (reference,)


def read_card(path: Path) -> Card:
    """Read the card of a checkpoint, checking that the file is whole but not its weights.

    Raises ModelUnusable for a file that is missing, damaged, or without a valid card.
    """
    try:
        with path.open("rb") as stream:
            return card_of(read_metadata(stream, path), path)
    except OSError as error:
        raise unreadable(path, error) from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a checkpoint's file, to be shown. Raises ModelUnusable."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> ModelUnusable:
    """Say why the file system does not give the checkpoint out."""
    if isinstance(error, FileNotFoundError):
        return ModelUnusable(f"{path}: there is no such file; name a checkpoint that is there")
    if isinstance(error, IsADirectoryError):
        return ModelUnusable(f"{path}: is a folder; name the checkpoint file in it")
    return ModelUnusable(f"{path}: cannot be read ({error.strerror or error})")


def read_metadata(stream: BinaryIO, path: Path) -> dict[str, str]:
    """Read the metadata of a safetensors file, checking that no byte of its tensors is missing.

    Raises ModelUnusable; *path* is for its message.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    if size == 0:
        raise ModelUnusable(f"{path}: is empty; copy the checkpoint again")
    start = stream.read(8)
    length = int.from_bytes(start, "little")
    if is_pickle(start):
        raise ModelUnusable(
            f"{path}: is a pickle of torch, which may run foreign code and is never loaded as it is; "
            "convert it with `triage model import`"
        )
    if not 2 <= length <= MAX_HEADER:
        raise ModelUnusable(f"{path}: is not a safetensors file; see `triage model import`")
    text = stream.read(length)
    if len(text) < length:
        raise _truncated(path, size)
    try:
        header = json.loads(text)
        metadata: dict[str, str] = header.pop("__metadata__", {})
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        missing = 8 + length + end - size
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise ModelUnusable(
            f"{path}: is not a safetensors file: its header is damaged; copy the checkpoint again"
        ) from error
    if missing > 0:
        raise _truncated(path, size)
    return metadata if isinstance(metadata, dict) else {}


def is_pickle(start: bytes) -> bool:
    """Say whether a file with these first 8 bytes is a pickle of torch, zipped or bare.

    A header's length may begin with the same bytes, but then it is a plausible length.
    """
    plausible = int.from_bytes(start, "little") <= MAX_HEADER
    return not plausible and start.startswith((b"PK\x03\x04", b"\x80"))


def _truncated(path: Path, size: int) -> ModelUnusable:
    return ModelUnusable(f"{path}: is cut off after {size} bytes; copy the checkpoint again")


def card_of(metadata: dict[str, str], path: Path) -> Card:
    """Return the card in a safetensors file's metadata.

    Raises ModelUnusable when there is none or it is invalid; *path* is for its message.
    """
    if METADATA_KEY not in metadata:
        raise ModelUnusable(
            f"{path}: has no card, so nobody knows how to use it; "
            f"write one with `triage model import {path} --out FILE`"
        )
    try:
        document = json.loads(metadata[METADATA_KEY])
        written = document.pop("format", None)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ModelUnusable(
            f"{path}: its card is not a JSON object; write it again with `triage model import`"
        ) from error
    if written != FORMAT:
        raise ModelUnusable(
            f"{path}: its card has format {written!r}, and this version of triage reads {FORMAT}; "
            "upgrade triage"
        )
    try:
        # By way of JSON: strict, yet lists are tuples and names are study types.
        return _CARD.validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise ModelUnusable(
            f"{path}: its card is invalid: {explain(error)}; "
            "correct it where the checkpoint was made, or import the weights again"
        ) from error
