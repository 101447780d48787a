"""Errors as Problem Details (RFC 9457): what was wrong, and what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
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
from triage.web.access import NotAllowed

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


async def _ours(_request: Request, error: Exception) -> Response:
    status = next(
        (found for kind, found in _STATUS.items() if isinstance(error, kind)),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
    if isinstance(error, ViewUnreadable):
        gone = error.code == Code.PIXELS_DELETED
        return problem(HTTPStatus.GONE if gone else status, reason(error.code, str(error)))
    if isinstance(error, DatabaseUnavailable):
        log.warning("database_unavailable", reason=str(error))
        # The database's own words may name its server; they are for the log.
        return problem(status, "the database is not available; try again in a moment")
    return problem(status, str(error))


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  for the type alone
    return problem(error.status_code, str(error.detail), error.headers)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  likewise
    wrong = [
        {"where": ".".join(map(str, each["loc"])), "what": each["msg"]} for each in error.errors()
    ]
    detail = "; ".join(f"{each['where']}: {each['what']}" for each in wrong)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=wrong)


async def _unexpected(_request: Request, _error: Exception) -> Response:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an error of ours; the log has it")
