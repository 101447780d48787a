"""Errors: what was wrong, and what to do. A program gets Problem Details (RFC 9457), a person a page."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from triage import logs
from triage.core.documents import encode
from triage.core.reasons import Code, reason
from triage.errors import (
    AmbiguousStudy,
    DatabaseUnavailable,
    DecodersUnavailable,
    NothingToScore,
    StudyClaimed,
    StudyNotFound,
    TriageError,
    ViewNotFound,
    ViewUnreadable,
)
from triage.web.access import NotAllowed, NotLoggedIn
from triage.web.headers import HEADERS
from triage.web.rendering import render

log = logs.get(__name__)

MEDIA_TYPE = "application/problem+json"  # RFC 9457 3

_STATUS: Mapping[type[TriageError], HTTPStatus] = {
    StudyNotFound: HTTPStatus.NOT_FOUND,
    AmbiguousStudy: HTTPStatus.CONFLICT,
    StudyClaimed: HTTPStatus.CONFLICT,
    NothingToScore: HTTPStatus.CONFLICT,
    ViewNotFound: HTTPStatus.NOT_FOUND,
    ViewUnreadable: HTTPStatus.UNPROCESSABLE_ENTITY,
    DecodersUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    NotAllowed: HTTPStatus.FORBIDDEN,
    DatabaseUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


# In place of the status' own name, which is the title.
_HTTP: Mapping[int, str] = {
    HTTPStatus.NOT_FOUND: "there is nothing at this address",
    HTTPStatus.METHOD_NOT_ALLOWED: "this address takes another method; the header Allow names it",
}


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """Return an error's answer."""
    phrase = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": phrase, "status": status, "detail": detail, **more}
    return Response(encode(document), status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Have every error of *app* answered so."""
    app.add_exception_handler(TriageError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


async def _ours(request: Request, error: Exception) -> Response:
    if isinstance(error, NotLoggedIn):
        return _log_in_first(request, error)
    status = next((found for kind, found in _STATUS.items() if isinstance(error, kind)), None)
    if status is None:
        log.error("request_failed", reason=str(error), exc_info=error)
        return await _unexpected(request, error)
    if isinstance(error, ViewUnreadable):
        gone = error.code == Code.PIXELS_DELETED
        status = HTTPStatus.GONE if gone else status
        return _answer(request, status, reason(error.code, str(error)))
    if isinstance(error, DatabaseUnavailable):
        log.warning("database_unavailable", reason=str(error))
        # The database's own words may name its server; they are for the log.
        return _answer(request, status, "the database is not available; try again in a moment")
    if isinstance(error, StudyClaimed):  # what its second half says is for the command line
        return _answer(request, status, str(error).partition("; ")[0])
    return _answer(request, status, str(error))


def _answer(
    request: Request,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """Return an error's answer for whoever asked."""
    if not _is_for_a_person(request):
        return problem(status, detail, headers, **more)
    title = HTTPStatus(status).phrase
    page = render(request, "problem.html", status, title=title, detail=detail)
    page.headers.update(headers or {})
    return page


def _log_in_first(request: Request, error: NotLoggedIn) -> Response:
    """Send a person to the log-in; a program gets the status."""
    path = request.url.path
    if request.method != "GET" or not _is_for_a_person(request):
        # RFC 9110 11.6.1 wants a challenge; what a log-in form asks for has no registered name.
        return problem(
            HTTPStatus.UNAUTHORIZED,
            f"{error}: POST name and password to /login",
            {"WWW-Authenticate": 'Cookie realm="Triage"'},
        )
    to = f"{path}?{request.url.query}" if request.url.query else path
    return RedirectResponse(f"/login?to={quote(to, safe='')}", HTTPStatus.SEE_OTHER)


def _is_for_a_person(request: Request) -> bool:
    """Say whether a browser asks for a page or sends a form, and not a script for what is told."""
    is_interface = request.url.path.startswith("/api/")
    return not is_interface and "text/html" in request.headers.get("accept", "")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  for the type alone
    detail = _HTTP.get(error.status_code, str(error.detail))
    return _answer(request, error.status_code, detail, error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  likewise
    wrong = [
        {"where": ".".join(map(str, each["loc"])), "what": each["msg"]} for each in error.errors()
    ]
    detail = "; ".join(f"{each['where']}: {each['what']}" for each in wrong)
    return _answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=wrong)


async def _unexpected(request: Request, _error: Exception) -> Response:
    # Outside of whatever else adds headers.
    headers = {**HEADERS, "Cache-Control": "no-store"}
    return _answer(
        request, HTTPStatus.INTERNAL_SERVER_ERROR, "an error of ours; the log has it", headers
    )
