"""What watches over the daemon asks: is it alive, can it work, what has it done.

Nothing here tells of a patient, a peer or a place. Whether the process lives may be asked by who
reaches the port; the rest by this machine, `web.monitors`, and who has a name.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Response

from triage import logs
from triage.core.documents import encode
from triage.core.load import Load
from triage.errors import DatabaseUnavailable, SpoolFull, SpoolUnavailable
from triage.pipeline.channel import ScorerState
from triage.web.access import Watcher
from triage.web.department import Drifts
from triage.web.metrics import Measured, exposition
from triage.web.models import Readiness
from triage.web.openapi import problems
from triage.web.site import Here, Site

log = logs.get(__name__)

router = APIRouter(tags=["operations"])

_SCORER_IS_WELL = (ScorerState.READY, ScorerState.OFF)


# In the event loop: a thread may not be had while all of them wait for a database.
@router.get(
    "/healthz",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    response_class=Response,
)
async def healthz() -> Response:
    """Say that the web process answers."""
    return Response("ok\n", media_type="text/plain")


@router.get(
    "/readyz",
    dependencies=[Watcher],
    responses={200: {"model": Readiness}, 503: {"model": Readiness}, **problems(401, 403)},
)
async def readyz(site: Here) -> Response:
    """Say whether database, spool, scorer and daemon can work; 503 where one cannot."""
    checks = await _checks(site)
    ready = all(problem is None for problem in checks.values())
    document = {
        "ready": ready,
        "checks": {name: problem or "ok" for name, problem in checks.items()},
    }
    return Response(encode(document), 200 if ready else 503, media_type="application/json")


@router.get(
    "/metrics",
    dependencies=[Watcher],
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems(401, 403, 422),
    },
    response_class=Response,
)
async def metrics(site: Here, accept: Annotated[str, Header()] = "") -> Response:
    """Return what is measured, for Prometheus."""
    body, media_type = exposition(await measure(site), accept)
    return Response(body, headers={"Content-Type": media_type})


async def measure(site: Site) -> Measured:
    """Measure, as far as the stores answer."""
    load, free, drifts = await asyncio.gather(_load(site), _free(site), _drifts(site))
    return Measured(
        condition=site.condition,
        settings=site.settings,
        load=load,
        free=free,
        pages=site.feed.pages,
        drifts=drifts,
    )


async def _load(site: Site) -> Load | None:
    try:
        return await site.health.load.answer()
    except (DatabaseUnavailable, TimeoutError) as error:
        log.warning("database_unavailable", reason=str(error) or "no answer")
        return None


async def _drifts(site: Site) -> Drifts:
    try:
        return await site.figures.drifts.answer()
    except (DatabaseUnavailable, TimeoutError):
        return []


async def _free(site: Site) -> int | None:
    try:
        return await site.health.free.answer()
    except (SpoolUnavailable, TimeoutError):
        return None


async def _checks(site: Site) -> dict[str, str | None]:
    condition = site.condition
    database, spool = await asyncio.gather(_database(site), _spool(site))
    scorer = None if condition.scorer in _SCORER_IS_WELL else str(condition.scorer)
    return {"database": database, "spool": spool, "scorer": scorer, "daemon": _daemon(site)}


async def _database(site: Site) -> str | None:
    try:
        await site.health.database.answer()
    except DatabaseUnavailable as error:
        log.warning("database_unavailable", reason=str(error))
        return "it is not available; the log says why"
    except TimeoutError:
        return "it does not answer"
    return None


async def _spool(site: Site) -> str | None:
    try:
        await site.health.spool.answer()
    except SpoolFull:
        return "less is free than spool.min_free keeps, so that no object is taken"
    except SpoolUnavailable as error:
        log.warning("spool_unavailable", reason=str(error))
        return "it cannot be written to; the log says why"
    except TimeoutError:
        return "its disk does not answer"
    return None


def _daemon(site: Site) -> str | None:
    if site.condition.is_stale():
        return "it has said nothing for a while"
    if site.condition.stuck:
        return f"loops are stuck: {', '.join(site.condition.stuck)}"
    return None
