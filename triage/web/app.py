"""The web application, put together: who is answered what, under which headers."""

from pathlib import Path

from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles

from triage import __version__
from triage.web import api, openapi, operations, pages, pictures, problems, sessions
from triage.web.access import caller
from triage.web.headers import Headers
from triage.web.limits import SmallBodies
from triage.web.site import Site

STATIC = Path(__file__).parent / "static"


def make_app(site: Site) -> FastAPI:
    """Return the application that answers for *site*."""
    app = FastAPI(
        title="Triage",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # they would load from elsewhere
        redoc_url=None,
        dependencies=[Depends(caller)],  # turns away what a page of another site has sent
    )
    app.state.site = site
    problems.install(app)
    app.add_middleware(SmallBodies)
    app.add_middleware(Headers)
    for router in (api.router, pictures.router, operations.router, pages.router, sessions.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    openapi.describe(app)
    return app
