"""A data set in MURA's layout: studies in folders, and two lists that name and label them.

A split, say ``train``, is ``train_image_paths.csv`` (an image a line) and
``train_labeled_studies.csv`` (a study's folder, and 1 for abnormal or 0, a
line); `triage.research.lists` has the form of a line.

Lists that contradict themselves or each other are an error: nobody can say
which of them is right. What is wrong with single files is a problem: it is
named, and the rest can be used.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from triage.core.studytype import StudyType
from triage.errors import DatasetUnusable, UsageError
from triage.research import lists, soundness
from triage.research.lists import Place
from triage.research.problems import Fault, Problem

IMAGES, LABELS = "_image_paths.csv", "_labeled_studies.csv"
ORDER = ("train", "valid", "test")  # the parts of MURA as the paper names them; others follow
SHOWN = 20  # errors in a message: one mistake of a script makes thousands


@dataclass(frozen=True, kw_only=True)
class LabelledStudy:
    """One study with its label."""

    study_type: StudyType
    patient: str  # "patient00040"
    name: str  # "study1_negative"
    abnormal: bool
    images: tuple[Path, ...]  # those that exist, at least one, in the order of the list

    @property
    def key(self) -> str:
        """What the study is called within its split, "XR_HAND/patient00040/study1_negative"."""
        return f"XR_{self.study_type.upper()}/{self.patient}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Split:
    """One part of a data set."""

    name: str  # "train", "valid", ...: how the names of its lists begin
    studies: tuple[LabelledStudy, ...]  # in the order of the list

    @property
    def images(self) -> tuple[Path, ...]:
        """The images of all its studies."""
        return tuple(image for study in self.studies for image in study.images)

    @property
    def patients(self) -> frozenset[str]:
        """Whose studies they are."""
        return frozenset(study.patient for study in self.studies)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set that can be used."""

    root: Path
    splits: tuple[Split, ...]  # each has a study; train first
    problems: tuple[Problem, ...]

    def split(self, name: str) -> Split:
        """Return one split; raises UsageError naming those that are there."""
        for split in self.splits:
            if split.name == name:
                return split
        there = ", ".join(split.name for split in self.splits)
        raise UsageError(f"{self.root}: has no split {name!r}; it has {there}")


def read_dataset(
    root: Path,
    *,
    decode: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> Dataset:
    """Read the lists and see that every file is there.

    With *decode* every image is decoded too, so as to find what is cut off and
    what stands in two splits; *progress* is told how many images are done, and
    of how many. Raises DatasetUnusable naming list and line.
    """
    reading = _Reading(root)
    splits = [reading.split(name) for name in _names(root)]
    if reading.errors:
        raise DatasetUnusable(f"{root}: cannot be used:{_listed(reading.errors)}")
    found = tuple(split for split in splits if split.studies)
    problems = [*_leaks(found), *reading.problems]
    if not found:
        sentences = [f"{problem.where}: {problem.message}" for problem in problems]
        raise DatasetUnusable(f"{root}: holds no study that can be used:{_listed(sentences)}")
    if decode:
        problems += _examined(root, found, progress)
    return Dataset(root=root, splits=found, problems=tuple(problems))


def _listed(sentences: list[str]) -> str:
    rest = len(sentences) - SHOWN
    shown = [*sentences[:SHOWN], f"and {rest} more"] if rest > 0 else sentences
    return "".join(f"\n  {sentence}" for sentence in shown)


def _names(root: Path) -> list[str]:
    """Return the names of the splits."""
    try:
        files = [path.name for path in root.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise DatasetUnusable(f"{root}: cannot be read ({error.strerror or error})") from error
    names = {
        file.removesuffix(ending)
        for file in files
        for ending in (IMAGES, LABELS)
        if file.endswith(ending)
    }
    if not names:
        raise DatasetUnusable(
            f"{root}: has no *{IMAGES} and *{LABELS}; name the folder in which MURA's lists are"
        )
    return sorted(names, key=lambda name: (*(name != known for known in ORDER), name))


# What the lists name, each with the line: studies by folder; images by folder and file name.
Places = dict[tuple[str, ...], tuple[Place, str]]
Images = dict[tuple[str, ...], dict[str, str]]


@dataclass
class _Reading:
    """The lists of a data set, and what is wrong with them so far."""

    root: Path
    errors: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def split(self, name: str) -> Split:
        places = self._labelled(f"{name}{LABELS}")
        images = self._images(f"{name}{IMAGES}", places)
        if self.errors:
            return Split(name=name, studies=())
        self._note_unknown_parts(places)
        studies = (self._study(place, images) for place, _ in places.values())
        return Split(name=name, studies=tuple(study for study in studies if study))

    def _labelled(self, file: str) -> Places:
        """Read a list of studies."""
        places: Places = {}
        for where, fields in self._lines(file):
            try:
                place, label = lists.study_of(fields)
            except ValueError as error:
                self.errors.append(f"{where}: {error}")
                continue
            if label not in ("0", "1"):
                self.errors.append(f"{where}: the label is {label!r}; 0 is normal, 1 abnormal")
            elif (label == "1") != place.abnormal:
                self.errors.append(f"{where}: the label {label} contradicts {place.name}")
            if place.folder in places:
                first = places[place.folder][1]
                self._note(Fault.REPEATED, where, f"the study stands in {first} already")
            else:
                places[place.folder] = place, where
        self.errors += _named_twice(places)
        return places

    def _images(self, file: str, places: Places) -> Images:
        """Read a list of images of these studies."""
        images: Images = defaultdict(dict)
        for where, fields in self._lines(file):
            try:
                place, image = lists.image_of(fields)
            except ValueError as error:
                self.errors.append(f"{where}: {error}")
                continue
            if place.folder not in places:
                self.errors.append(f"{where}: no list labels {'/'.join(place.folder)}")
            elif image.startswith("._"):
                self._note(Fault.METADATA, where, f"{image} is macOS's, no image; it is left out")
            elif image in images[place.folder]:
                first = images[place.folder][image]
                self._note(Fault.REPEATED, where, f"the image stands in {first} already")
            else:
                images[place.folder][image] = where
        self.errors += [
            f"{where}: {file} has no image of {'/'.join(folder)}"
            for folder, (_, where) in places.items()
            if folder not in images
        ]
        return images

    def _note_unknown_parts(self, places: Places) -> None:
        unknown: dict[str, list[str]] = defaultdict(list)
        for place, where in places.values():
            if place.study_type is None:
                unknown[place.part].append(where)
        for part, lines in unknown.items():
            sentence = f"{part} is none of MURA's seven study types; left out: {len(lines)} studies"
            self._note(Fault.UNKNOWN_PART, lines[0], sentence)

    def _study(self, place: Place, images: Images) -> LabelledStudy | None:
        """Return the study with the images that exist; None where it is left out."""
        if place.study_type is None:
            return None
        there = []
        for image, where in images[place.folder].items():
            path = self.root.joinpath(*place.folder, image)
            if path.is_file():
                there.append(path)
            else:
                self._note(Fault.MISSING, where, f"{path}: there is no such file; it is left out")
        if not there:
            sentence = "no image of the study is there; it is left out"
            self._note(Fault.NO_IMAGES, "/".join(place.folder), sentence)
            return None
        return LabelledStudy(
            study_type=place.study_type,
            patient=place.patient,
            name=place.name,
            abnormal=place.abnormal,
            images=tuple(there),
        )

    def _lines(self, file: str) -> Iterator[tuple[str, list[str]]]:
        try:
            for number, fields in lists.lines(self.root / file):
                yield f"{file}:{number}", fields
        except OSError as error:
            self.errors.append(f"{file}: cannot be read ({error.strerror or error})")
        except ValueError as error:
            self.errors.append(f"{file}:{error}")

    def _note(self, fault: Fault, where: str, message: str) -> None:
        self.problems.append(Problem(fault=fault, where=where, message=message))


def _named_twice(places: Places) -> Iterator[str]:
    """Find the folders that come to the same study, which would count twice in its split."""
    first: dict[tuple[str, ...], str] = {}
    for folder, (_, where) in places.items():
        study = folder[-3:]  # XR_PART/patientN/studyK_label
        if study in first:
            yield f"{where}: the study {'/'.join(study)} stands in {first[study]} in another folder"
        first.setdefault(study, where)


def _leaks(splits: tuple[Split, ...]) -> Iterator[Problem]:
    """Find the patients who are in several splits."""
    within: dict[str, list[str]] = defaultdict(list)
    for split in splits:
        for patient in split.patients:
            within[patient].append(split.name)
    for patient, names in sorted(within.items()):
        if len(names) > 1:
            sentence = "the patient is in both, and what is measured in one was learnt in the other"
            yield Problem(
                fault=Fault.LEAK, where=f"{patient} in {', '.join(names)}", message=sentence
            )


def _examined(
    root: Path, splits: tuple[Split, ...], progress: Callable[[int, int], None]
) -> Iterator[Problem]:
    """Decode every image, and find those that are not whole or stand in several splits."""
    images = [(split.name, image) for split in splits for image in split.images]
    first: dict[str, tuple[str, str]] = {}
    results = soundness.examine([image for _, image in images])
    for done, ((split, image), result) in enumerate(zip(images, results, strict=True), 1):
        where = str(image.relative_to(root))
        if result.error is not None:
            yield Problem(fault=Fault.UNREADABLE, where=where, message=result.error)
        elif result.truncated:
            sentence = "ends in the grey that stands for missing data: it was cut off once"
            yield Problem(fault=Fault.TRUNCATED, where=where, message=sentence)
        if result.digest:
            other_split, other = first.setdefault(result.digest, (split, where))
            if other_split != split:
                sentence = f"is the same file as {other}"
                yield Problem(fault=Fault.TWIN, where=where, message=sentence)
        progress(done, len(images))
