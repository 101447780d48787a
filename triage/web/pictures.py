"""The pictures of a study, under `/api/v1`: its views, and the maps to lay over them."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator
from starlette.concurrency import run_in_threadpool

from triage.core.activation import ScoredView
from triage.core.audit import AuditKind
from triage.errors import ViewNotFound
from triage.model.cam import full_strength
from triage.pipeline.overlay import NO_MAP, NO_MAP_YET
from triage.pipeline.pictures import MOST
from triage.store import activations, audit, queries
from triage.store.images import StoredImage, find_image
from triage.web.access import Person, Whoever
from triage.web.address import LONGEST, NAMED, meant
from triage.web.api import Study
from triage.web.problems import MEDIA_TYPE
from triage.web.site import Here, Site

router = APIRouter(prefix="/api/v1")

_PROBLEM: dict[str, Any] = {"content": {MEDIA_TYPE: {}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}}, "description": "The picture."},
    401: {"description": "Who asks has to log in first.", **_PROBLEM},
    403: {"description": "Who asks is not let in.", **_PROBLEM},
    404: {"description": "There is no such study, view or map.", **_PROBLEM},
    409: {"description": "Several studies have this accession number.", **_PROBLEM},
    410: {"description": "The pixel data was deleted after the reading.", **_PROBLEM},
    422: {"description": "The image cannot be decoded, or the request is wrong.", **_PROBLEM},
    503: {"description": "The database is away, or no decoder starts.", **_PROBLEM},
}

SopInstance = Annotated[
    str,
    Path(
        min_length=1,
        max_length=LONGEST,
        pattern=NAMED,
        description="SOP Instance UID; what is none as that of the study is.",
    ),
    AfterValidator(meant),
]
Frame = Annotated[int, Path(ge=1, le=2**31 - 1, description="From 1; 1 of a single image.")]
Side = Annotated[
    int, Query(ge=16, le=MOST, description="Pixels, the most of height and width; never enlarged.")
]
Download = Annotated[bool, Query(description="As a file to keep; the audit trail says so.")]
_FILE = re.compile(r"[0-9.]+")


@router.get(
    "/studies/{study}/views/{sop_instance_uid}/{frame:int}.png",
    response_class=Response,
    responses=_ANSWERS,
)
async def picture(
    site: Here,
    who: Whoever,
    study: Study,
    sop_instance_uid: SopInstance,
    frame: Frame,
    side: Side = MOST,
    download: Download = False,
) -> Response:
    """Return a view as the scorer saw it: windowed, black is 0, cropped to the exposed field."""
    image = await run_in_threadpool(_image, site, who, study, sop_instance_uid, frame, download)
    made = await site.gallery.view(site.spool, image, frame, side)
    headers = {}
    if download:
        named = sop_instance_uid if _FILE.fullmatch(sop_instance_uid) else image.digest
        headers["Content-Disposition"] = f'attachment; filename="{named}-{frame}.png"'
    return Response(made, headers=headers, media_type="image/png")


@router.get(
    "/studies/{study}/views/{sop_instance_uid}/{frame:int}/map.png",
    response_class=Response,
    responses=_ANSWERS,
)
async def activation_map(
    site: Here, who: Whoever, study: Study, sop_instance_uid: SopInstance, frame: Frame
) -> Response:
    """Return a view's class activation map, transparent, to be laid over the view.

    Its colours are on one scale for all views of the study.
    """
    image = await run_in_threadpool(_image, site, who, study, sop_instance_uid, frame, False)
    views = await run_in_threadpool(_scored, site, study)
    for view in views:
        if (view.sop_instance_uid, view.frame) != (sop_instance_uid, frame):
            continue
        if view.map is None:
            raise ViewNotFound(NO_MAP_YET if view.waiting else NO_MAP)
        full = full_strength(each.map for each in views if each.map)
        made = await site.gallery.map(site.spool, image, frame, view.map, full)
        return Response(made, media_type="image/png")
    raise ViewNotFound("the view is not scored, so there is no map of it")


def _image(
    site: Site, who: Person, study: str, sop_instance_uid: str, frame: int, download: bool
) -> StoredImage:
    """Find the image, and write down who is to see it."""
    study_id = queries.find_study(site.database, study)
    image = find_image(site.database, study_id, sop_instance_uid)
    if download:
        detail = f"{sop_instance_uid} frame {frame} as PNG"
        now = datetime.now(UTC)
        audit.note_access(site.database, study_id, AuditKind.EXPORTED, who.name, now, detail)
    else:
        site.looks.note_part(site.database, study_id, who.name)
    return image


def _scored(site: Site, study: str) -> list[ScoredView]:
    return activations.scored_views(site.database, queries.find_study(site.database, study))
