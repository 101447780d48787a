"""The studies among files, judged as the daemon judges what arrives."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from triage.core.assessment import Assessment, assess
from triage.core.detail import group_name
from triage.core.exposure import LOW_TRUST, Candidate, counts_with, left_out, stand
from triage.core.reasons import Code, reason
from triage.core.selection import Rules
from triage.core.study import Instance, Intent, Side, View, ViewState
from triage.core.studytype import StudyType
from triage.dicom.header import read_file_header
from triage.errors import BadInstance, UsageError
from triage.pipeline.judge import judge
from triage.pipeline.views import Source, Verdict
from triage.pipeline.wire import Kind

PICTURES = frozenset({".png", ".jpg", ".jpeg"})


@dataclass(kw_only=True)
class OfflineView:
    """One view of a file, or a file that has none."""

    path: Path
    sop_instance_uid: str | None = None
    frame: int | None = None
    study_type: StudyType | None = None
    side: Side = Side.UNKNOWN
    low_trust: bool = False
    exposure: str | None = None  # what it shows, where another view shows it too
    remark: str | None = None  # how it counts, where that is not as any other
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

    @property
    def reason(self) -> str | None:
        """Why it is not scored, or how its score counts."""
        return self.verdict.reason or self.remark


@dataclass(kw_only=True)
class OfflineStudy:
    """DICOM files of one Study Instance UID, or the pictures of one folder (then its UID is None)."""

    study_instance_uid: str | None
    views: list[OfflineView] = field(default_factory=list)

    def assess(self) -> Assessment:
        """Apply the daemon's rules to what is there."""
        scorable = [view for view in self.views if view.status != "unscorable"]
        views = [
            View(
                study_type=view.study_type,
                side=view.side,
                state=ViewState.FAILED if view.verdict.probability is None else ViewState.SCORED,
                probability=view.verdict.probability,
                threshold=view.verdict.threshold or 0.5,
                model=view.verdict.model,
                reason=view.verdict.reason,
                exposure=view.exposure,
                low_trust=view.low_trust,
            )
            for view in scorable
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


def gather(paths: Iterable[Path], *, study_type: StudyType | None, rules: Rules) -> Gathered:
    """Read the headers of the files, folders being walked in sorted order.

    *study_type* is that of the pictures; without it, an ``XR_PART`` folder above
    them names it. In a folder, files that are neither DICOM nor pictures are
    passed over; named themselves, they are reported. Raises UsageError when a
    path does not exist.
    """
    studies: dict[str, list[OfflineView | tuple[Path, Instance]]] = {}
    unreadable: list[str] = []
    for path, named in _walk(paths):
        try:
            if path.suffix.lower() in PICTURES:
                key = f"folder {path.parent.resolve()}"
                studies.setdefault(key, []).append(_picture(path, study_type, rules))
            else:
                instance = judge(read_file_header(path), rules)
                studies.setdefault(instance.study_instance_uid, []).append((path, instance))
        except (BadInstance, OSError) as error:
            if named or not isinstance(error, BadInstance):
                unreadable.append(str(error))
        except MemoryError:
            unreadable.append(f"{path}: the memory does not suffice to read it")
    return Gathered(
        studies=[
            OfflineStudy(
                study_instance_uid=None if key.startswith("folder ") else key,
                views=_views(members),
            )
            for key, members in studies.items()
        ],
        unreadable=unreadable,
    )


def _walk(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Give each file, and whether the user named it (or it was found in a folder)."""
    for path in paths:
        if path.is_dir():
            yield from ((p, False) for p in sorted(path.rglob("*")) if p.is_file())
        elif path.exists():
            yield path, True
        else:
            raise UsageError(f"{path}: there is no such file or folder")


def _picture(path: Path, study_type: StudyType | None, rules: Rules) -> OfflineView:
    part = study_type or _part_of_folder(path)
    view = OfflineView(path=path, frame=1, study_type=part)
    if part is None and not rules.score_unknown_part:
        sentence = "no XR_PART folder above it; say --study-type, or set study.unknown_part"
        view.verdict = Verdict(reason=reason(Code.UNKNOWN_PART, sentence))
    else:
        view.source = Source(study_type=part, path=path, kind=Kind.PICTURE)
    return view


def _part_of_folder(path: Path) -> StudyType | None:
    """MURA's layout: XR_WRIST/patient00001/study1_positive/image1.png."""
    for folder in reversed(path.resolve().parent.parts):
        part = folder.lower().removeprefix("xr_")
        if folder.upper().startswith("XR_") and part in list(StudyType):
            return StudyType(part)
    return None


def _views(members: list[OfflineView | tuple[Path, Instance]]) -> list[OfflineView]:
    """Return the views of a study's files, in their order: pictures, or instances judged together."""
    instances = [member for member in members if isinstance(member, tuple)]
    standings = stand(
        Candidate(
            key=key,
            sop_instance_uid=instance.sop_instance_uid,
            pixel_digest=instance.pixel_digest,
            study_type=instance.study_type,
            side=instance.side,
            exposure=instance.exposure,
        )
        for key, (_, instance) in enumerate(instances)
        if instance.frames
    )
    views = [member for member in members if isinstance(member, OfflineView)]
    for key, (path, instance) in enumerate(instances):
        standing = standings.get(key)
        if standing is None or standing.twin:
            view = OfflineView(path=path, sop_instance_uid=instance.sop_instance_uid)
            view.verdict = Verdict(reason=left_out(standing.twin) if standing else instance.reason)
            views.append(view)
            continue
        views += _frames(path, instance)
        if standing.exposure is None:
            continue
        for view in views[-instance.frames :]:
            view.exposure = f"{standing.exposure}/{view.frame}"
            if standing.exposure != key:
                view.remark = counts_with(instances[standing.exposure][1].sop_instance_uid)
    return views


def _frames(path: Path, instance: Instance) -> list[OfflineView]:
    raw = instance.exposure.intent is Intent.PROCESSING
    return [
        OfflineView(
            path=path,
            sop_instance_uid=instance.sop_instance_uid,
            frame=frame,
            study_type=instance.study_type,
            side=instance.side,
            low_trust=raw,
            remark=LOW_TRUST if raw else None,
            source=Source(study_type=instance.study_type, path=path, frame=frame),
        )
        for frame in range(1, instance.frames + 1)
    ]
