"""Class activation maps drawn over their views, a PNG each; see `triage.model.cam`."""

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from triage.core.activation import CoarseMap, ScoredView
from triage.core.reasons import Code
from triage.errors import OutputUnwritable, ViewUnreadable
from triage.model.cam import Colours, blend, full_strength, upscale
from triage.pipeline.decode import READERS
from triage.pipeline.gather import OfflineStudy, OfflineView
from triage.pipeline.views import Source
from triage.store.spool import Spool

# What a peer sent as a UID may hold anything that prints; only what is one becomes a file's name.
_UID = re.compile(r"(?=.{1,64}$)[0-9]+(\.[0-9]+){1,31}")
LONGEST = 60  # characters of a name made of a path: 240 bytes at most, and 255 are allowed
QUICK = 1  # of zlib's levels; 6 takes four times as long for a file that is 4 % smaller

NO_MAP = "it was scored before maps were kept; `triage rescore STUDY` makes one"
PIXELS_DELETED = (
    f"{Code.PIXELS_DELETED}: its pixel data was deleted after the reading; send the study again"
)
NO_MAP_YET = "its map comes with its new score, which is not there yet"


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What became of the map of one view."""

    path: Path | None = None  # of the PNG; None where there is none
    full_strength: float | None = None  # the map's value that is drawn at full strength
    reason: str | None = None  # why there is no PNG


def prepare_folder(folder: Path) -> None:
    """Make the folder where it is missing. Raises OutputUnwritable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputUnwritable(f"{folder}: you may not write there; name another folder")


def draw_stored(views: Iterable[ScoredView], spool: Spool, folder: Path) -> list[Drawing]:
    """Draw the maps of a study's views over their pixels in the spool, into *folder*.

    Colours are on one scale for all of them.
    """
    known = list(views)
    full = full_strength(view.map for view in known if view.map)
    drawings = []
    for view in known:
        path = spool.path(view.digest)
        if view.deleted_at is not None:
            drawing = Drawing(reason=PIXELS_DELETED)
        elif view.map is None:
            drawing = Drawing(reason=NO_MAP_YET if view.waiting else NO_MAP)
        elif not path.is_file():
            drawing = Drawing(reason=f"its file has left the spool ({path})")
        else:
            uid = view.sop_instance_uid
            name = f"{uid if _UID.fullmatch(uid) else view.digest}-{view.frame}.png"
            source = Source(study_type=None, path=path, frame=view.frame)
            drawing = _draw(source, view.map, full, folder / name)
        drawings.append(drawing)
    return drawings


def draw_offline(studies: Sequence[OfflineStudy], folder: Path) -> list[list[Drawing | None]]:
    """Draw the maps of what was scored without a daemon; None for a view that was not scored.

    Each study has a scale of its own.
    """
    taken: set[str] = set()
    drawings: list[list[Drawing | None]] = []
    for study in studies:
        full = full_strength(view.verdict.map for view in study.views if view.verdict.map)
        drawings.append([])
        for view in study.views:
            drawing = None
            if view.source and view.verdict.map:
                target = folder / _free_name(view, taken)
                drawing = _draw(view.source, view.verdict.map, full, target)
            drawings[-1].append(drawing)
    return drawings


def _free_name(view: OfflineView, taken: set[str]) -> str:
    """Name the drawing of a file: after its UID, or a picture's folders and name."""
    uid = view.sop_instance_uid
    if uid is not None and _UID.fullmatch(uid):
        name = f"{uid}-{view.frame}"
    else:
        name = "-".join(view.path.resolve().with_suffix("").parts[-3:])[-LONGEST:].lstrip("/.-")
    first, number = name, 1
    while name in taken:
        number += 1
        name = f"{first}-{number}"
    taken.add(name)
    return f"{name}.png"


def _draw(source: Source, stored: CoarseMap, full: float, target: Path) -> Drawing:
    try:
        grey = READERS[source.kind](source.path, source.frame)
        _write(blend(grey, upscale(stored, grey.shape), full), target)
    except ViewUnreadable as error:
        return Drawing(reason=f"{error.code}: {error}")
    except OutputUnwritable as error:  # the scores that were asked for beside it are shown
        return Drawing(reason=str(error))
    except MemoryError:
        return Drawing(reason=f"{Code.TOO_LARGE}: there is not enough memory to draw it")
    return Drawing(path=target, full_strength=full)


def _write(colours: Colours, target: Path) -> None:
    """Write a PNG that is there as a whole or not at all."""
    partial = target.with_name(f".{os.getpid()}.partial")
    try:
        try:
            Image.fromarray(colours).save(partial, "PNG", compress_level=QUICK)
            partial.replace(target)
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(target, error) from error


def _unwritable(path: Path, error: OSError) -> OutputUnwritable:
    return OutputUnwritable(f"{path}: cannot be written ({error.strerror or error})")
