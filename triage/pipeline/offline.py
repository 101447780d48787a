"""Scoring files once, without a daemon: what `triage score` does."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from triage.core.assessment import Assessment, assess
from triage.core.detail import group_name
from triage.core.reasons import Code, reason
from triage.core.selection import select
from triage.core.study import Side, View, ViewState
from triage.core.studytype import StudyType
from triage.dicom.header import read_file_header
from triage.dicom.pixels import read_view
from triage.errors import BadInstance, UsageError
from triage.model.cores import usable_cores
from triage.pipeline.views import Source, Verdict, score_views

if TYPE_CHECKING:
    from triage.dicom.grey import Grey
    from triage.model.scorer import Scorer

PICTURES = frozenset({".png", ".jpg", ".jpeg"})
BATCH = 64  # views in memory at once


@dataclass(kw_only=True)
class OfflineView:
    """One view of a file, or a file that has none."""

    path: Path
    sop_instance_uid: str | None = None
    frame: int | None = None
    study_type: StudyType | None = None
    side: Side = Side.UNKNOWN
    source: Source | None = None  # None: not for the network
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def status(self) -> str:
        """scored, unscorable (not for this network) or failed (it could not be read)."""
        if self.source is None or (self.verdict.reason or "").startswith(
            Code.NOT_ACCEPTED_BY_MODEL
        ):
            return "unscorable"
        return "failed" if self.verdict.probability is None else "scored"

    @property
    def group(self) -> str | None:
        return group_name(self.study_type, self.side) if self.source else None


@dataclass(kw_only=True)
class OfflineStudy:
    """DICOM files of one Study Instance UID, or the pictures of one folder (then its UID is None)."""

    study_instance_uid: str | None
    views: list[OfflineView] = field(default_factory=list)

    def assess(self) -> Assessment:
        """Apply the daemon's rules to what is there."""
        views = [
            View(
                study_type=view.study_type,
                side=view.side,
                state=ViewState.FAILED if view.verdict.probability is None else ViewState.SCORED,
                probability=view.verdict.probability,
                threshold=view.verdict.threshold or 0.5,
                model=view.verdict.model,
                reason=view.verdict.reason,
            )
            for view in self.views
            if view.status != "unscorable"
        ]
        unscorable = [
            view.verdict.reason
            for view in self.views
            if view.status == "unscorable" and view.verdict.reason
        ]
        return assess(views, closed=True, unscorable_reasons=unscorable)


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """The studies of the named files, and the files that could not be read."""

    studies: list[OfflineStudy]
    unreadable: list[str]  # a sentence for each


def gather(
    paths: Iterable[Path], *, study_type: StudyType | None, score_unknown_part: bool
) -> Gathered:
    """Read the headers of the files, folders being walked in sorted order.

    *study_type* is that of the pictures; without it, an ``XR_PART`` folder above
    them names it. In a folder, files that are neither DICOM nor pictures are
    passed over; named themselves, they are reported. Raises UsageError when a
    path does not exist.
    """
    studies: dict[str, OfflineStudy] = {}
    unreadable: list[str] = []
    for path, named in _walk(paths):
        try:
            if path.suffix.lower() in PICTURES:
                key, uid = f"folder {path.parent.resolve()}", None
                views = _picture(path, study_type, score_unknown_part=score_unknown_part)
            else:
                uid, views = _dicom(path, score_unknown_part=score_unknown_part)
                key = f"study {uid}"
        except (BadInstance, OSError) as error:
            if named or not isinstance(error, BadInstance):
                unreadable.append(str(error))
            continue
        studies.setdefault(key, OfflineStudy(study_instance_uid=uid)).views.extend(views)
    return Gathered(studies=list(studies.values()), unreadable=unreadable)


def score_studies(scorer: "Scorer", studies: list[OfflineStudy]) -> None:
    """Score the studies' views where they are, in batches across studies."""
    views = [view for study in studies for view in study.views if view.source is not None]
    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="decode") as decoders:
        for start in range(0, len(views), BATCH):
            batch = views[start : start + BATCH]
            sources = [view.source for view in batch if view.source is not None]
            for view, verdict in zip(batch, score_views(scorer, sources, decoders), strict=True):
                view.verdict = verdict


def unreadable_views(gathered: Gathered) -> list[str]:
    """Say which files could not be read, as to their header or their pixels."""
    return gathered.unreadable + [
        f"{view.path}: {view.verdict.reason}"
        for study in gathered.studies
        for view in study.views
        if view.status == "failed"
    ]


def _walk(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Give each file, and whether the user named it (or it was found in a folder)."""
    for path in paths:
        if path.is_dir():
            yield from ((p, False) for p in sorted(path.rglob("*")) if p.is_file())
        elif path.exists():
            yield path, True
        else:
            raise UsageError(f"{path}: there is no such file or folder")


def _picture(
    path: Path, study_type: StudyType | None, *, score_unknown_part: bool
) -> list[OfflineView]:
    def read() -> "Grey":
        from triage.model.preprocess import read_picture

        return read_picture(path)

    part = study_type or _part_of_folder(path)
    view = OfflineView(path=path, frame=1, study_type=part)
    if part is None and not score_unknown_part:
        sentence = "no XR_PART folder above it; say --study-type, or set study.unknown_part"
        view.verdict = Verdict(reason=reason(Code.UNKNOWN_PART, sentence))
    else:
        view.source = Source(study_type=part, read=read)
    return [view]


def _part_of_folder(path: Path) -> StudyType | None:
    """MURA's layout: XR_WRIST/patient00001/study1_positive/image1.png."""
    for folder in reversed(path.resolve().parent.parts):
        part = folder.lower().removeprefix("xr_")
        if folder.upper().startswith("XR_") and part in list(StudyType):
            return StudyType(part)
    return None


def _dicom(path: Path, *, score_unknown_part: bool) -> tuple[str, list[OfflineView]]:
    header = read_file_header(path)
    chosen = select(
        header.kind,
        header.sop_class_name,
        header.body_part,
        header.frames,
        score_unknown_part=score_unknown_part,
    )
    views = [
        OfflineView(
            path=path,
            sop_instance_uid=header.sop_instance_uid,
            frame=frame,
            study_type=chosen.study_type,
            side=header.side,
            source=Source(study_type=chosen.study_type, read=partial(read_view, path, frame)),
        )
        for frame in range(1, chosen.frames + 1)
    ]
    if not views:
        without = OfflineView(path=path, sop_instance_uid=header.sop_instance_uid)
        without.verdict = Verdict(reason=chosen.reason)
        views = [without]
    return header.study_instance_uid, views
