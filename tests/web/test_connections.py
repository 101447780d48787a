"""Connections that ask for nothing, or never to the end, against uvicorn with ours."""

import socket
import threading
from contextlib import contextmanager

import httpx2
import pytest
import uvicorn
from starlette.responses import PlainTextResponse, StreamingResponse

from tests.support.waiting import wait_until
from triage.web import connections
from triage.web.connections import Connection

ASKING = 0.2


async def app(scope, receive, send):
    """Answer at once; `/slow` drop by drop, `/flood` without an end, a body when it has come."""
    if scope["path"] == "/flood":

        async def flood():
            while True:
                await connections.asyncio.sleep(0)
                yield 65536 * b"."

        await StreamingResponse(flood())(scope, receive, send)
        return
    if scope["path"] == "/slow":

        async def drops():
            for _ in range(12):
                await connections.asyncio.sleep(ASKING / 2)
                yield b"."

        await StreamingResponse(drops())(scope, receive, send)
        return
    while (await receive()).get("more_body"):
        pass
    await PlainTextResponse("well")(scope, receive, send)


@contextmanager
def serving(**settings):
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=Connection, log_config=None, lifespan="off", **settings)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    wait_until(lambda: server.started, "the server")
    yield listener.getsockname()[1], server.server_state
    server.should_exit = True
    thread.join()


@pytest.fixture
def served(monkeypatch):
    monkeypatch.setattr(connections, "ASKING", ASKING)
    with serving(timeout_keep_alive=60) as served:
        yield served


@pytest.fixture
def port(served):
    return served[0]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n12",
    ],
    ids=["nothing", "half a header", "half a body"],
)
def test_what_never_comes_to_its_end_is_ended(port, said):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as stuck:
        stuck.sendall(said)

        assert stuck.recv(1000) == b""


def test_a_header_that_drips_is_ended_too(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as drips:
        drips.sendall(b"GET / HTTP/1.1\r\n")

        def drip():
            try:
                drips.sendall(b"a: b\r\n")
                return drips.recv(1000, socket.MSG_DONTWAIT) == b""
            except BlockingIOError:
                return False
            except ConnectionError:
                return True

        wait_until(drip, "the connection's end")


def test_an_answer_that_takes_its_time_is_not_ended(port):
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/slow").text == 12 * "."
        assert client.get("/").text == "well"  # over the same connection
        assert client.post("/", content=b"123").text == "well"


def test_an_answer_that_nobody_takes_is_ended(served, monkeypatch):
    port, state = served
    monkeypatch.setattr(connections, "TAKING", ASKING)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as deaf:
        deaf.sendall(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: state.tasks, "the answer")

        wait_until(lambda: not state.connections, "the connection's end")
        wait_until(lambda: not state.tasks, "the answer's end")


def test_more_connections_than_are_taken_are_told():
    with serving(limit_concurrency=2) as (port, _):
        first = socket.create_connection(("127.0.0.1", port))
        second = socket.create_connection(("127.0.0.1", port))
        try:
            assert httpx2.get(f"http://127.0.0.1:{port}/").status_code == 503
        finally:
            first.close()
            second.close()
        wait_until(
            lambda: httpx2.get(f"http://127.0.0.1:{port}/").status_code == 200, "room for others"
        )
