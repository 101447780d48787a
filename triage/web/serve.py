"""The web process: started by the daemon with a listening socket and a line to it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread
import uvicorn

from triage import logs, priority
from triage.settings import Settings, WebSettings
from triage.store.database import Database
from triage.store.spool import Spool
from triage.web.app import make_app
from triage.web.condition import Condition
from triage.web.connections import AT_ONCE, Connection
from triage.web.feed import Feed
from triage.web.site import Site

log = logs.get(__name__)

# Threads that answer; each may need a connection, and PostgreSQL has 100 for everybody.
ANSWERS = 12
BEAT_EVERY = 5.0  # seconds between two words to the daemon that the event loop turns
FINISH = 3.0  # seconds for the answers in hand when the daemon is gone


def main() -> None:
    """Run as ``python -m triage.web.serve LINE LISTENER``, both being sockets' numbers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon decides when we end
    priority.go_as_usual()  # the receiver, which started us, goes first
    with contextlib.suppress(OSError):  # where memory ends, this process ends, not the receiver
        Path("/proc/self/oom_score_adj").write_text("300")
    connection = socket.socket(fileno=int(sys.argv[1]))
    line = connection.makefile("rb")
    listener = socket.socket(fileno=int(sys.argv[2]))
    request = json.loads(line.readline())
    logs.configure(level=request["log_level"])
    logs.catch_uncaught()
    settings = Settings.model_validate(request["settings"])
    database = Database(settings.database.url)
    site = Site(
        settings=settings,
        database=database,
        spool=Spool(settings.spool.directory, settings.spool.min_free),
        feed=Feed(database),
        condition=Condition(),
    )
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(site),
            http=Connection,
            ws="none",
            limit_concurrency=AT_ONCE,
            log_config=None,
            access_log=False,  # the audit trail says who saw what
            server_header=False,
            proxy_headers=False,  # `triage.web.access` decides whom to believe
            timeout_graceful_shutdown=int(FINISH),
            lifespan="off",
            ssl_context_factory=_tls(settings.web),
        )
    )
    threading.Thread(target=_hear, args=(line, site, server), name="daemon", daemon=True).start()
    site.feed.start()
    log.info("web_ready", host=settings.web.host, port=listener.getsockname()[1])
    asyncio.run(_serve(server, listener, connection))
    site.gallery.close()


async def _serve(server: uvicorn.Server, listener: socket.socket, line: socket.socket) -> None:
    """Answer until the server ends, and tell the daemon meanwhile that the event loop turns."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = ANSWERS
    beating = asyncio.create_task(_beat(line))
    await server.serve(sockets=[listener])
    beating.cancel()


async def _beat(line: socket.socket) -> None:
    while True:
        with contextlib.suppress(OSError):  # that the daemon is gone is noticed by who hears it
            line.send(b".", socket.MSG_DONTWAIT)
        await asyncio.sleep(BEAT_EVERY)


def _tls(settings: WebSettings) -> Callable[..., ssl.SSLContext] | None:
    """Return what makes the context of uvicorn's handshakes; None to go without TLS."""
    if not settings.tls_certificate:
        return None
    from triage.web.tls import context_of, files_of  # which bring pydicom along

    files = files_of(settings)
    return (lambda *_: context_of(files)) if files else None


def _hear(line: BinaryIO, site: Site, server: uvicorn.Server) -> None:
    """Take in what the daemon says; its end is ours."""
    # One that was killed ends the line in the middle of a word, or with ours unheard: a reset.
    with contextlib.suppress(OSError, ValueError):
        for said in line:
            site.condition = Condition.parse(said)
    site.feed.stop()
    server.should_exit = True
    threading.Event().wait(FINISH + 1)
    sys.stderr.flush()
    os._exit(0)  # something still waits for a database or a browser


if __name__ == "__main__":
    main()
