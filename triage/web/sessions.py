"""Logging in and out: a name and a password against a cookie that a script cannot read."""

import contextlib
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from secrets import token_urlsafe
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from starlette.background import BackgroundTask

from triage import logs
from triage.core.people import LONGEST_NAME, user_name
from triage.errors import UserNotFound
from triage.store import users
from triage.web import passwords
from triage.web.access import From, NotLoggedIn, cookie_of, digest_of, session_of
from triage.web.caller import Caller
from triage.web.limits import TooManyLogIns
from triage.web.rendering import render
from triage.web.site import Here, Site

router = APIRouter(include_in_schema=False)
log = logs.get(__name__)

WRONG = "Name or password is wrong."
FIELDS = 10  # of a form


@router.get("/login")
def ask(request: Request, to: str = "/") -> Response:
    """Ask who it is."""
    return _page(request, to)


@router.post("/login")
async def log_in(request: Request, site: Here, caller: From) -> Response:
    """Let somebody in, and send them where they wanted to go."""
    name, password, to = _said(await request.body())
    former = session_of(request, caller)
    try:
        token = await run_in_threadpool(_begin, site, caller, name, password, former)
    except NotLoggedIn as error:
        refusal = _page(request, to, name, HTTPStatus.UNAUTHORIZED, str(error))
        # Afterwards: how long an answer takes must not say whose name is known.
        refusal.background = BackgroundTask(_note_refusal, site, name, caller.address)
        return refusal
    except TooManyLogIns as error:
        log.warning("log_in_refused", address=caller.address, reason="too_many")
        refusal = _page(request, to, name, HTTPStatus.TOO_MANY_REQUESTS, str(error))
        refusal.headers["Retry-After"] = str(error.seconds)
        return refusal
    answer = RedirectResponse(_here(to), HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        cookie_of(caller),
        token,
        max_age=int(site.settings.web.session),
        secure=caller.secure,
        httponly=True,
        samesite="lax",  # a link to a study, from the RIS, shows it to whoever is logged in
    )
    return answer


@router.post("/logout")
def log_out(request: Request, site: Here, caller: From) -> Response:
    """End the session; pages that are still open learn it within seconds."""
    if digest := session_of(request, caller):
        users.end_session(site.database, digest, datetime.now(UTC), caller.address)
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(cookie_of(caller), secure=caller.secure, httponly=True, samesite="lax")
    return answer


def _said(body: bytes) -> tuple[str, str, str]:
    """Return name, password and where to go; what is no form of ours says nothing."""
    try:
        form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=FIELDS)
    except ValueError:
        form = {}
    name, password, to = (form.get(field, [""])[0] for field in ("name", "password", "to"))
    return name, password, to


def _page(
    request: Request,
    to: str,
    name: str = "",
    status: HTTPStatus = HTTPStatus.OK,
    problem: str | None = None,
) -> Response:
    return render(request, "login.html", status, to=_here(to), name=name, problem=problem)


def _begin(site: Site, caller: Caller, written: str, password: str, former: str | None) -> str:
    """Return what the browser is to hold. Raises NotLoggedIn or TooManyLogIns."""
    try:
        name, may_be = user_name(written), True
    except ValueError:  # nobody has it: it is counted, and found to be wrong
        name, may_be = written[:LONGEST_NAME], False
    with site.log_ins.one(name, caller.address):
        stored = users.password_of(site.database, name) if may_be else None
        is_right = passwords.is_right(password, stored)
    now = datetime.now(UTC)
    if stored is None or not is_right:
        log.warning("log_in_refused", address=caller.address, reason="wrong")
        raise NotLoggedIn(WRONG)
    site.log_ins.was_right(name, caller.address)
    if former is not None:
        users.end_session(site.database, former, now, caller.address)
    token = token_urlsafe(32)
    try:
        users.begin_session(
            site.database,
            name,
            stored,
            digest=digest_of(token),
            ends_at=now + timedelta(seconds=site.settings.web.session),
            now=now,
            address=caller.address,
        )
    except UserNotFound as error:
        raise NotLoggedIn(WRONG) from error
    if passwords.is_outdated(stored):
        users.renew_hash(site.database, name, stored, passwords.hashed(password))
    return token


def _note_refusal(site: Site, written: str, address: str) -> None:
    """Write down a wrong password; a name that nobody can have is none."""
    with contextlib.suppress(ValueError):
        users.note_refusal(site.database, user_name(written), datetime.now(UTC), address)


def _here(to: str) -> str:
    """Return where to go, if it is a page of ours; a link must not lead elsewhere by way of us."""
    try:
        parts = urlsplit(to.replace("\\", "/"))
    except ValueError:
        return "/"
    ours = to.startswith("/") and not parts.scheme and not parts.netloc and to.isprintable()
    return to if ours and not to.startswith("//") else "/"
