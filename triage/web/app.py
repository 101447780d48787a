"""The web application, put together: who is answered what, under which headers."""

from pathlib import Path

from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from triage import __version__
from triage.web import api, openapi, operations, pages, pictures, problems, sessions
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
    app.add_middleware(_Headers)
    for router in (api.router, pictures.router, operations.router, pages.router, sessions.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    openapi.describe(app)
    return app


class _Headers:
    """Adds our headers to every answer; what is streamed passes as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                # A page that a reader has left may show a patient no more; and our scripts are
                # asked for anew each time, for after an upgrade they must all be of one version.
                kept = "no-cache" if scope["path"].startswith("/static/") else "no-store"
                headers.setdefault("Cache-Control", kept)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
