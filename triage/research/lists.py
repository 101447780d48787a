"""The lines of MURA's lists: what a path must look like, and what it says.

MURA-v1.1/valid/XR_WRIST/patient11185/study1_positive/image1.png
MURA-v1.1/valid/XR_WRIST/patient11185/study1_positive/,1
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from triage.core.studytype import StudyType

_PART = re.compile(r"XR_[A-Z]+")
_PATIENT = re.compile(r"patient\d+")
_STUDY = re.compile(r"study\d+_(positive|negative)")
_IMAGE = re.compile(r".+\.(png|jpe?g)", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A study's folder, as a line names it."""

    folder: tuple[str, ...]  # below the root of the data set
    study_type: StudyType | None  # None: the part is none of MURA's seven
    abnormal: bool  # as the folder's name says

    @property
    def part(self) -> str:
        """The folder of the study type, "XR_WRIST"."""
        return self.folder[-3]

    @property
    def patient(self) -> str:
        """The patient's folder, "patient11185"."""
        return self.folder[-2]

    @property
    def name(self) -> str:
        """The study's own folder, "study1_positive"."""
        return self.folder[-1]


def lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Give the fields of every line that is not blank, with its number.

    Windows' line ends and a byte order mark are no part of them; a line that
    is no UTF-8 has U+FFFD where it is not. Raises OSError, and ValueError naming
    a line that is no line of a list.
    """
    text = path.read_bytes().decode("utf-8-sig", "replace")
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if line.strip():
            try:
                (fields,) = csv.reader([line.strip()])
            except csv.Error as error:
                raise ValueError(
                    f"{number}: is no line of a list ({error}); copy the list again"
                ) from error
            yield number, [value.strip() for value in fields]


def study_of(fields: Sequence[str]) -> tuple[Place, str]:
    """Return the study that a line labels, and its label as written; raises ValueError."""
    if len(fields) != 2:
        raise ValueError(f"has {len(fields)} fields; give a study's folder, a comma, and 0 or 1")
    return _place(_below_root(fields[0])), fields[1]


def image_of(fields: Sequence[str]) -> tuple[Place, str]:
    """Return the study that a line's image is of, and the image's name; raises ValueError."""
    if len(fields) != 1:
        raise ValueError(f"has {len(fields)} fields; give the path of one image")
    *folder, image = _below_root(fields[0])
    place = _place(folder)
    if not _IMAGE.fullmatch(image):
        raise ValueError(f"{image!r} is no .png, .jpg or .jpeg file")
    return place, image


def _below_root(path: str) -> list[str]:
    """Split a path and leave out the name of the data set's folder, which may have another here."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path:
        raise ValueError(f"{path!r} leaves the data set's folder; give a path within it, with /")
    return list(pure.parts[1:])


def _place(folder: Sequence[str]) -> Place:
    part, patient, study = ("", "", "", *folder)[-3:]
    if not (_PART.fullmatch(part) and _PATIENT.fullmatch(patient) and _STUDY.fullmatch(study)):
        raise ValueError(
            f"{'/'.join(folder)!r} does not end in XR_PART/patientN/studyK_positive or _negative"
        )
    known = {f"XR_{study_type.upper()}": study_type for study_type in StudyType}
    return Place(tuple(folder), known.get(part), study.endswith("_positive"))
