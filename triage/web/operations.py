"""What watches over the daemon asks: is it alive, can it work."""

from fastapi import APIRouter, Response

from triage.core.documents import encode
from triage.errors import TriageError
from triage.web.access import Watcher
from triage.web.site import Here, Site

router = APIRouter()


@router.get("/healthz")
def healthz() -> Response:
    """Say that the web process answers."""
    return Response("ok\n", media_type="text/plain")


@router.get("/readyz", dependencies=[Watcher])
def readyz(site: Here) -> Response:
    """Say whether database, spool, receiver and scorer can work; 503 where one cannot."""
    checks = _checks(site)
    ready = all(problem is None for problem in checks.values())
    document = {
        "ready": ready,
        "checks": {name: problem or "ok" for name, problem in checks.items()},
    }
    return Response(encode(document), 200 if ready else 503, media_type="application/json")


def _checks(site: Site) -> dict[str, str | None]:
    condition = site.condition
    return {
        "database": _problem(site.database.require_answer),
        "spool": _problem(site.spool.try_writing),
        "scorer": None if condition.scorer in ("ready", "off") else condition.scorer,
        "daemon": "it has said nothing for a while" if condition.is_stale() else None,
    }


def _problem(check: object) -> str | None:
    try:
        check()  # type: ignore[operator]
    except TriageError as error:
        return str(error)
    return None
