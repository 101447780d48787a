"""Studies to try the daemon with: the phantoms, or what the user names.

Pictures become Digital X-Ray images in a folder; DICOM files stay where and
as they are. Either way there are files to send, a picture's bytes on the disk
instead of all of them in memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from triage.core.studytype import StudyType
from triage.dicom import radiograph, scu
from triage.errors import SendFailed, UsageError, ViewUnreadable
from triage.model.preprocess import read_picture
from triage.research import phantoms

PICTURES = frozenset({".png", ".jpg", ".jpeg"})
DICOM = frozenset({".dcm", ".dicom"})
# The patients of the phantoms; nobody is called that.
NAMES = ("ASTER", "BIRCH", "CEDAR", "DAHLIA", "ELDER", "FENNEL", "GORSE", "HAZEL")


@dataclass(frozen=True)
class Skipped:
    """A file that is not sent, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Gathered:
    """What can be sent, in the order of sending, and what cannot."""

    files: list[Path] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def write_phantoms(folder: Path, *, seed: int = 0) -> Gathered:
    """Write the phantoms' studies as DICOM files into *folder*."""
    gathered = Gathered()
    for number, phantom in enumerate(phantoms.samples(seed), start=1):
        what = phantom.finding or "nothing abnormal"
        header = radiograph.StudyHeader(
            study_instance_uid=radiograph.uid("phantom", str(seed), str(number)),
            study_type=phantom.study_type,
            side=phantom.side,
            accession_number=f"PHANTOM{number:04d}",
            patient_id=f"PHANTOM-{number:04d}",
            patient_name=f"PHANTOM^{NAMES[(number - 1) % len(NAMES)]}",
            description=f"{phantom.study_type.title()} phantom: {what}"[:64],
        )
        for index, view in enumerate(phantom.views, start=1):
            dataset = radiograph.digital_radiograph(
                view.pixels,
                header,
                series_instance_uid=radiograph.uid(header.study_instance_uid, "series"),
                sop_instance_uid=radiograph.uid(header.study_instance_uid, str(index)),
                number=index,
                view_position=view.position,
                spacing=view.spacing,
            )
            path = folder / f"{header.accession_number}-{phantom.study_type}-{index}.dcm"
            radiograph.save(dataset, path)
            gathered.files.append(path)
    return gathered


def gather(places: Sequence[Path], folder: Path) -> Gathered:
    """Gather what *places* (files and folders) hold; pictures are wrapped into *folder*.

    The pictures of one folder are one study. A file that was named, or whose
    suffix promises a picture or DICOM, is skipped with a reason when it is
    neither; other files inside a folder are passed over, as a data set's
    tables are. Raises UsageError for a place that does not exist.
    """
    missing = [str(place) for place in places if not place.exists()]
    if missing:
        raise UsageError(f"there is no {', no '.join(missing)}")
    gathered = Gathered()
    studies: dict[Path, list[Path]] = {}
    for path, named in _walk(places):
        if path.suffix.lower() in PICTURES:
            studies.setdefault(path.parent.resolve(), []).append(path)
            continue
        try:
            scu.check(path)
        except SendFailed as error:
            if named or path.suffix.lower() in DICOM:
                gathered.skipped.append(Skipped(path, f"neither DICOM nor PNG or JPEG: {error}"))
            continue
        gathered.files.append(path)
    numbers = count(1)
    for pictures in studies.values():
        _wrap(pictures, folder, gathered, numbers)
    return gathered


def study_type_of(path: Path) -> StudyType | None:
    """Return the study type that an `XR_PART` folder above *path* names, as in MURA."""
    for name in path.resolve().parts[::-1]:
        if name.upper().startswith("XR_"):
            part = name[3:].lower()
            return next((study_type for study_type in StudyType if study_type == part), None)
    return None


def _walk(places: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield (file, whether it was named itself), folders in sorted order."""
    for place in places:
        if place.is_dir():
            yield from ((path, False) for path in sorted(place.rglob("*")) if path.is_file())
        else:
            yield place, True


def _wrap(pictures: list[Path], folder: Path, gathered: Gathered, numbers: Iterator[int]) -> None:
    """Write one study's pictures as DICOM files; a study without a readable one takes no number."""
    header: radiograph.StudyHeader | None = None
    for index, path in enumerate(pictures, start=1):
        try:
            pixels = read_picture(path)
        except ViewUnreadable as error:
            gathered.skipped.append(Skipped(path, str(error)))
            continue
        if header is None:
            number = next(numbers)
            study_type = study_type_of(path)
            header = radiograph.StudyHeader(
                study_instance_uid=radiograph.uid(),
                study_type=study_type,
                accession_number=f"PICTURE{number:04d}",
                patient_id=f"PICTURE-{number:04d}",
                patient_name="PICTURE^NOBODY",
                description=f"{study_type or 'unknown part'}, {_short(path.parent)}"[:64],
            )
        target = folder / f"{header.accession_number}-{index}.dcm"
        lossy = path.suffix.lower() != ".png"
        dataset = radiograph.digital_radiograph(
            pixels,
            header,
            number=index,
            jpeg_ratio=pixels.size / path.stat().st_size if lossy else None,
        )
        radiograph.save(dataset, target)
        gathered.files.append(target)


def _short(folder: Path) -> str:
    """Name a folder by its last two parts, as much as tells MURA's studies apart."""
    return "/".join(folder.resolve().parts[-2:]).replace("\\", "/")
