"""The web application, put together: who is answered what, under which headers."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import Depends, FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

from triage import __version__
from triage.web import api, operations, pages, problems, sessions
from triage.web.access import caller
from triage.web.limits import SmallBodies
from triage.web.site import Site

STATIC = Path(__file__).parent / "static"

# Everything comes from here, and nothing is written into a page but what a template escapes.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": what changes something would then come with the Origin "null" (Fetch 3.2).
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


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
    app.middleware("http")(_with_headers)
    for router in (api.router, operations.router, pages.router, sessions.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


async def _with_headers(
    request: Request, answer: Callable[[Request], Awaitable[Response]]
) -> Response:
    response = await answer(request)
    response.headers.update(_HEADERS)
    # A page that a reader has left may show a patient no more; and our scripts are asked for
    # anew each time, for after an upgrade they must all be of one version.
    kept = "no-cache" if request.url.path.startswith("/static/") else "no-store"
    response.headers.setdefault("Cache-Control", kept)
    return response
